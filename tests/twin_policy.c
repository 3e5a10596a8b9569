/*
 * twin_policy.c: the naive twin's policies and groups (D1, D4, D7; readings R28, R29, R31). A group is a list of members that
 * is summed when somebody asks.
 */
#include "tests/twin_inner.h"


void
twin_policy_cells(struct twin *t, const struct policy_cells_command *c, struct twin_result *out)
{
	uint32_t new_cells = 0;
	for (uint32_t i = 0; i < c->cells_n; i++)
		if (twin_group_find(t, c->cells[i].location) != NONE) {
			twin_refuse(out, STATUS_BAD_REQUEST, NULL);
			return;
		}
	for (uint32_t i = 0; i < c->cells_n; i++)
		if (twin_find(t->skus, t->skus_n, c->cells[i].sku) == NONE) {
			twin_refuse(out, STATUS_UNKNOWN_SKU, NULL);
			return;
		}
	for (uint32_t i = 0; i < c->cells_n; i++)
		if (twin_find(t->places, t->places_n, c->cells[i].location) == NONE) {
			twin_refuse(out, STATUS_UNKNOWN_LOCATION, NULL);
			return;
		}
	for (uint32_t i = 0; i < c->cells_n; i++) {
		bool earlier = false;
		for (uint32_t j = 0; j < i; j++)
			earlier |= bytes_equal(c->cells[j].sku, c->cells[i].sku) && bytes_equal(c->cells[j].location, c->cells[i].location);
		new_cells += !earlier && twin_cell_find(t, twin_find(t->skus, t->skus_n, c->cells[i].sku),
		    twin_find(t->places, t->places_n, c->cells[i].location)) == NONE;
	}
	if (t->cells_n + new_cells > t->limits.cells_max) {
		twin_full(out, "cells");
		return;
	}
	for (uint32_t i = 0; i < c->cells_n; i++) {
		const struct policy_cell *p = &c->cells[i];
		uint32_t i_cell = twin_cell_make(t, twin_find(t->skus, t->skus_n, p->sku), twin_find(t->places, t->places_n, p->location));
		struct twin_cell *cell = &t->cells[i_cell];
		if (p->has_safety_stock)
			cell->safety_stock = p->safety_stock;
		if (p->has_oversell_limit)
			cell->oversell_limit = p->oversell_limit;
	}
	out->effect = TWIN_EITHER;
}

/* ---- groups ---- */

static uint32_t
groups_of(const struct twin *t, uint32_t place, struct bytes but)
{
	uint32_t n = 0;
	for (uint32_t g = 0; g < t->groups_n; g++)
		for (uint32_t m = 0; m < t->groups[g].members_n; m++)
			n += t->groups[g].members[m] == place && !text_same(&t->groups[g].name, but);
	return n;
}

/* As things stand now; OK: it may become a group. */
static enum status
judge(struct twin *t, struct bytes name, const struct text *members, uint32_t n, const char **which)
{
	*which = NULL;
	if (!n && twin_find(t->places, t->places_n, name) != NONE)
		return STATUS_CONFLICT;
	if (!n)
		return twin_group_find(t, name) == NONE ? STATUS_NOT_FOUND : STATUS_OK;
	for (uint32_t i = 0; i < n; i++) {
		if (twin_group_find(t, text_bytes(&members[i])) != NONE)
			return STATUS_BAD_REQUEST;
		for (uint32_t j = 0; j < i; j++)
			if (text_same(&members[j], text_bytes(&members[i])))
				return STATUS_BAD_REQUEST;
	}
	if (twin_find(t->places, t->places_n, name) != NONE)
		return STATUS_CONFLICT;
	for (uint32_t i = 0; i < n; i++)
		if (twin_find(t->places, t->places_n, text_bytes(&members[i])) == NONE)
			return STATUS_UNKNOWN_LOCATION;
	for (uint32_t i = 0; i < n; i++)
		if (groups_of(t, twin_find(t->places, t->places_n, text_bytes(&members[i])), name) >= GROUPS_OF_LOCATION_MAX) {
			*which = "groups_of_location";
			return STATUS_LIMIT;
		}
	if (twin_group_find(t, name) == NONE && t->groups_n >= t->limits.groups_max) {
		*which = "groups";
		return STATUS_CAPACITY;
	}
	return STATUS_OK;
}

void
twin_policy_group(struct twin *t, const struct policy_group_command *c, struct twin_result *out)
{
	struct text *members = calloc(c->members_n + 1, sizeof *members);
	for (uint32_t i = 0; i < c->members_n; i++)
		members[i] = text_of(c->members[i]);
	const char *which;
	enum status s = judge(t, c->name, members, c->members_n, &which);
	out->effect = TWIN_EITHER;
	if (s != STATUS_OK) {
		twin_refuse(out, s, which);
		if (s == STATUS_CAPACITY)
			twin_full(out, which);
		free(members);
		return;
	}
	struct twin_job *j = twin_add(t->jobs, t->jobs_n, t->jobs_cap);
	*j = (struct twin_job){ .number = ++t->jobs_made, .name = text_of(c->name), .members = members, .members_n = c->members_n };
	out->r.job = j->number;
	if (twin_find(t->group_names, t->group_names_n, c->name) == NONE)
		*twin_add(t->group_names, t->group_names_n, t->group_names_cap) = text_of(c->name);
}

static struct twin_job *
job_find(struct twin *t, uint64_t number)
{
	for (uint32_t i = 0; i < t->jobs_n; i++)
		if (t->jobs[i].number == number)
			return &t->jobs[i];
	abort();
}

void
twin_job_forget(struct twin *t, uint64_t number)
{
	struct twin_job *j = job_find(t, number);
	free(j->members);
	t->jobs_n--;
	memmove(j, j + 1, (size_t)(&t->jobs[t->jobs_n] - j) * sizeof *j);
}

void
twin_job_finish(struct twin *t, uint64_t number, struct twin_result *out)
{
	struct twin_job *j = job_find(t, number);
	*out = (struct twin_result){ .r = { .number = -1 }, .effect = TWIN_EITHER };
	const char *which;
	out->r.status = judge(t, text_bytes(&j->name), j->members, j->members_n, &which);
	out->r.which = which;
	if (out->r.status == STATUS_OK) {
		uint32_t g = twin_group_find(t, text_bytes(&j->name));
		if (g == NONE) {
			twin_add(t->groups, t->groups_n, t->groups_cap)->name = j->name;
			g = t->groups_n - 1;
		}
		free(t->groups[g].members);
		t->groups[g].members = calloc(j->members_n + 1, sizeof(uint32_t));
		t->groups[g].members_n = j->members_n;
		for (uint32_t i = 0; i < j->members_n; i++)
			t->groups[g].members[i] = twin_find(t->places, t->places_n, text_bytes(&j->members[i]));
		if (!j->members_n) {
			free(t->groups[g].members);
			t->groups_n--;
			memmove(&t->groups[g], &t->groups[g + 1], (t->groups_n - g) * sizeof t->groups[0]);
		}
	}
	twin_job_forget(t, number);
}

int
twin_group(struct twin *t, struct bytes name, struct bytes *members, uint32_t most)
{
	uint32_t g = twin_group_find(t, name);
	if (g == NONE)
		return -1;
	for (uint32_t i = 0; i < t->groups[g].members_n && i < most; i++)
		members[i] = text_bytes(&t->places[t->groups[g].members[i]]);
	return (int)t->groups[g].members_n;
}
