/* decide_policy.c: safety stock, oversell limits, location groups; the jobs that group changes and digests are (D1, D4, R28, R29) */
#include "core/state.h"

/* Refusals by class, in the order of D26. */
static bool
policy_names_known(struct engine *e, const struct policy_cells_command *c, struct result *result)
{
	const struct names *locations = &e->names[NAMES_LOCATION];
	bool skus = true, places = true;
	for (uint32_t i = 0; i < c->cells_n; i++) {
		uint32_t location = names_find(locations, c->cells[i].location);
		skus &= names_find(&e->names[NAMES_SKU], c->cells[i].sku) != NAME_NONE;
		if (location == NAME_NONE || group_place(&e->groups, location) == PLACE_GROUP_HIDDEN) {
			places = false;
		} else if (is_group(e, location)) {
			refuse(result, STATUS_BAD_REQUEST, "cells of a group are derived: set the policy of its locations");
			return false;
		}
	}
	if (!skus)
		refuse(result, STATUS_UNKNOWN_SKU, "a policy names a SKU that no event ever named");
	else if (!places)
		refuse(result, STATUS_UNKNOWN_LOCATION, "a policy names a location that no event ever named");
	return skus && places;
}

void
decide_policy_cells(struct engine *e, const struct policy_cells_command *c, struct result *result)
{
	changes_begin(e);
	if (!policy_names_known(e, c, result))
		return;
	for (uint32_t i = 0; i < c->cells_n; i++) {
		const struct policy_cell *p = &c->cells[i];
		uint32_t location = names_find(&e->names[NAMES_LOCATION], p->location);
		struct cell_change *change = change_of_pair(e, names_find(&e->names[NAMES_SKU], p->sku), location);
		if (p->has_safety_stock)
			change->r.now.safety_stock = p->safety_stock;
		if (p->has_oversell_limit)
			change->r.now.oversell_limit = p->oversell_limit;
		change->changed = true;
	}
	if (!changes_room(e)) {
		refuse_which(result, STATUS_CAPACITY, "cells", "a table of the server is full");
		return;
	}
	step_begin(e, CAUSE_POLICY, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	changes_emit(e);
	step_end(e);
	result->seq = e->seq;
}

/* ---- groups ---- */

/* Ids of the members; false: refused. */
static bool
members_resolve(struct engine *e, const struct policy_group_command *c, uint32_t *ids, struct result *result)
{
	bool unknown = false;
	for (uint32_t i = 0; i < c->members_n; i++) {
		for (uint32_t k = 0; k < i; k++)
			if (bytes_equal(c->members[k], c->members[i])) {
				refuse(result, STATUS_BAD_REQUEST, "a location is named twice");
				return false;
			}
		ids[i] = names_find(&e->names[NAMES_LOCATION], c->members[i]);
		if (ids[i] == NAME_NONE || group_place(&e->groups, ids[i]) == PLACE_GROUP_HIDDEN) {
			unknown = true;
		} else if (is_group(e, ids[i])) {
			refuse(result, STATUS_BAD_REQUEST, "groups do not nest: members are locations");
			return false;
		}
	}
	if (unknown)
		refuse(result, STATUS_UNKNOWN_LOCATION, "a member is a location that no event ever named");
	return !unknown;
}

/* Memberships count the definition in force and the one being built; the one in force is about to go. */
static bool
memberships_room(const struct engine *e, const uint32_t *ids, uint32_t n, const struct group *replaced)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct membership *m = &e->groups.of_location[ids[i]];
		uint32_t others = 0;
		for (uint16_t k = 0; k < m->n; k++)
			others += &e->groups.at[m->group[k]] != replaced;
		if (others >= GROUPS_OF_LOCATION_MAX)
			return false;
	}
	return true;
}

static uint64_t
job_add(struct engine *e, const struct job *job)
{
	struct job *at = &e->jobs[e->jobs_n++];
	*at = *job;
	at->number = ++e->job_last;
	return at->number;
}

static void
group_remove(struct engine *e, uint32_t location, struct result *result)
{
	step_begin(e, CAUSE_GROUP, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	emit_group(e, &(struct group_record){ .location = location });
	step_end(e);
	result->seq = e->seq;
}

void
decide_policy_group(struct engine *e, const struct policy_group_command *c, struct result *result)
{
	const struct names *locations = &e->names[NAMES_LOCATION];
	uint32_t *ids = e->scratch->members, location = names_find(locations, c->name);
	const struct group *live = location == NAME_NONE ? NULL : groups_live(&e->groups, location);
	bool resolved = members_resolve(e, c, ids, result);
	if (result->status == STATUS_BAD_REQUEST)
		return;
	if (location != NAME_NONE && !is_group(e, location)) /* before an unknown member (D26) */
		refuse(result, STATUS_CONFLICT, "a location has this name already");
	else if (!resolved)
		return;
	else if (c->members_n == 0 && live == NULL)
		refuse(result, STATUS_NOT_FOUND, "no such group");
	else if (!memberships_room(e, ids, c->members_n, live))
		refuse_which(result, STATUS_LIMIT, "groups_of_location", "a location is in at most 16 groups");
	else if (location == NAME_NONE && names_count(locations) == locations->max)
		refuse_which(result, STATUS_CAPACITY, "locations", "a table of the server is full");
	else if (c->members_n && live == NULL && groups_defined(&e->groups) >= e->groups.max)
		refuse_which(result, STATUS_CAPACITY, "groups", "a table of the server is full");
	else if (e->jobs_n == JOBS_MAX || (c->members_n && e->groups.live_n + e->groups.building_n >= 2 * e->groups.max))
		refuse(result, STATUS_OVERLOADED, "too many jobs wait: try again");
	else if (location != NAME_NONE && groups_building(&e->groups, location))
		refuse(result, STATUS_OVERLOADED, "this group is being rebuilt: try again");
	if (result->status != STATUS_OK)
		return;
	if (c->members_n == 0) {
		group_remove(e, location, result);
		return;
	}
	step_begin(e, CAUSE_GROUP, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	if (location == NAME_NONE)
		location = emit_name(e, NAMES_LOCATION, c->name);
	emit_group(e, &(struct group_record){ .location = location, .building = true, .members_n = c->members_n, .members = ids });
	step_end(e);
	result->job = job_add(e, &(struct job){ .kind = JOB_GROUP, .location = location });
}

/* The last entries of a group's job: the new definition is in force. */
static void
group_land(struct engine *e, const struct group *group)
{
	uint32_t *members = e->scratch->members, n = group->members_n, location = group->location;
	for (uint32_t i = 0; i < n; i++)
		members[i] = group->members[i];
	step_begin(e, CAUSE_GROUP, (struct bytes){ NULL, 0 }, (struct bytes){ NULL, 0 });
	emit_group(e, &(struct group_record){ .location = location, .members_n = n, .members = members });
	emit_group(e, &(struct group_record){ .location = location, .building = true });
	step_end(e);
}

static bool
group_slice(struct engine *e, struct group *group)
{
	if (!groups_build(&e->groups, group, &e->cells, names_count(&e->names[NAMES_SKU]), e->seq))
		return false;
	group_land(e, group);
	return true;
}

/* ---- digests ---- */

void
decide_digest(struct engine *e, const struct digest_command *c, struct result *result)
{
	struct job job = { .kind = JOB_DIGEST };
	const struct bytes *from[] = { &c->location, &c->sku_from, &c->sku_to };
	struct bytes *to[] = { &job.digest.location, &job.digest.sku_from, &job.digest.sku_to };
	if (e->jobs_n == JOBS_MAX) {
		refuse(result, STATUS_OVERLOADED, "too many jobs wait: try again");
		return;
	}
	if (c->location.n && names_find(&e->names[NAMES_LOCATION], c->location) == NAME_NONE) {
		refuse(result, STATUS_UNKNOWN_LOCATION, "no event ever named that location");
		return;
	}
	result->job = job_add(e, &job);
	struct job *at = &e->jobs[e->jobs_n - 1];
	for (int i = 0; i < 3; i++) {
		*to[i] = (struct bytes){ NULL, from[i]->n };
		if (from[i]->n)
			memcpy(at->text[i], from[i]->at, from[i]->n);
	}
	at->digest = job.digest;
}

static bool
digest_job_slice(struct engine *e, struct job *job, struct result *result)
{
	if (!e->digest.active) {
		struct digest_command c = job->digest;
		c.location.at = job->text[0], c.sku_from.at = job->text[1], c.sku_to.at = job->text[2];
		digest_begin(e, &c);
	}
	if (!digest_slice(e))
		return false;
	const struct digest_walk *w = &e->digest;
	result->digest_stock[0] = (uint64_t)(w->sum >> 64), result->digest_stock[1] = (uint64_t)w->sum;
	result->digest_state[0] = (uint64_t)(w->state >> 64), result->digest_state[1] = (uint64_t)w->state;
	result->has_state = w->has_state;
	result->cells = w->cells;
	result->seq = w->start;
	return true;
}

/* ---- jobs: first come, first served ---- */

bool
engine_job_waiting(const struct engine *e)
{
	return e->jobs_n > 0 || e->groups.building_n > 0;
}

static void
job_pop(struct engine *e)
{
	memmove(&e->jobs[0], &e->jobs[1], (size_t)--e->jobs_n * sizeof e->jobs[0]);
}

bool
engine_job_run(struct engine *e, uint64_t *number, struct result *result)
{
	*result = (struct result){ .seq = e->seq, .number = -1 };
	*number = 0;
	bool done = false;
	if (e->jobs_n == 0) { /* a group left half-built by a restart: nobody waits for it */
		struct group *group = groups_any_building(&e->groups);
		if (group)
			group_slice(e, group);
	} else if (e->jobs[0].kind == JOB_GROUP) {
		done = group_slice(e, groups_building(&e->groups, e->jobs[0].location));
		result->seq = e->seq;
	} else {
		done = digest_job_slice(e, &e->jobs[0], result);
	}
	if (done) {
		*number = e->jobs[0].number;
		job_pop(e);
	}
	atomic_store_explicit(&e->seq_view, e->seq, memory_order_release);
	return done;
}
