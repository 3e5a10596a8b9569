#include "core/groups.h"

#define relaxed memory_order_relaxed

void
groups_init(struct groups *g, struct carve *c, uint32_t max, uint32_t skus_max, uint32_t locations_max)
{
	g->max = max;
	g->skus_max = skus_max;
	g->locations_max = locations_max;
	g->at = carve(c, 2 * (uint64_t)max, sizeof *g->at);
	g->numbers = carve(c, 2 * (uint64_t)max * skus_max, sizeof *g->numbers);
	g->place = carve(c, locations_max, sizeof *g->place);
	g->of_location = carve(c, locations_max, sizeof *g->of_location);
}

static uint32_t
number_of(const struct groups *g, const struct group *group)
{
	return (uint32_t)(group - g->at);
}

static struct group *
find(const struct groups *g, uint32_t location, bool live)
{
	for (uint32_t i = 0; i < 2 * g->max; i++)
		if (g->at[i].used && g->at[i].live == live && g->at[i].location == location)
			return &g->at[i];
	return NULL;
}

struct group *
groups_live(const struct groups *g, uint32_t location)
{
	return find(g, location, true);
}

struct group *
groups_building(const struct groups *g, uint32_t location)
{
	return find(g, location, false);
}

struct group *
groups_any_building(const struct groups *g)
{
	for (uint32_t i = 0; i < 2 * g->max; i++)
		if (g->at[i].used && !g->at[i].live)
			return &g->at[i];
	return NULL;
}

uint32_t
groups_defined(const struct groups *g)
{
	uint32_t n = g->live_n;
	for (uint32_t i = 0; i < 2 * g->max; i++)
		n += g->at[i].used && !g->at[i].live && groups_live(g, g->at[i].location) == NULL;
	return n;
}

bool
groups_is_name(const struct groups *g, uint32_t location)
{
	return atomic_load_explicit(&g->place[location], relaxed) != PLACE_LOCATION;
}

/* ---- evolve ---- */

static void
leave(struct groups *g, struct group *group)
{
	uint16_t number = (uint16_t)number_of(g, group);
	for (uint32_t i = 0; i < group->members_n; i++) {
		struct membership *m = &g->of_location[group->members[i]];
		for (uint16_t k = 0; k < m->n; k++)
			if (m->group[k] == number)
				m->group[k--] = m->group[--m->n];
	}
	*(group->live ? &g->live_n : &g->building_n) -= 1;
	group->used = false;
}

static struct group *
make(struct groups *g, const struct group_record *r)
{
	struct group *group = g->at;
	while (group->used)
		group++;
	ensure(number_of(g, group) < 2 * g->max);
	group->location = r->location;
	group->used = true;
	group->live = false;
	group->cursor = 0;
	atomic_store_explicit(&group->members_n, r->members_n, memory_order_release);
	for (uint32_t i = 0; i < r->members_n; i++) {
		atomic_store_explicit(&group->members[i], r->members[i], memory_order_release);
		struct membership *m = &g->of_location[r->members[i]];
		ensure(m->n < 2 * GROUPS_OF_LOCATION_MAX);
		m->group[m->n++] = (uint16_t)number_of(g, group);
	}
	g->building_n++;
	return group;
}

static void
publish(struct groups *g, uint32_t location, const struct group *group)
{
	uint64_t word = group ? ++g->serial << 32 | (number_of(g, group) + 2) : PLACE_GROUP_HIDDEN;
	atomic_store_explicit(&g->place[location], word, memory_order_release);
}

void
groups_evolve(struct groups *g, const struct group_record *r)
{
	struct group *live = groups_live(g, r->location), *building = groups_building(g, r->location);
	if (!groups_is_name(g, r->location))
		publish(g, r->location, NULL);
	if (r->building) {
		if (building)
			leave(g, building);
		if (r->members_n)
			make(g, r);
		return;
	}
	if (r->members_n == 0) {
		publish(g, r->location, NULL);
	} else {
		if (building == NULL) /* while loading: the live definition comes alone */
			building = make(g, r);
		building->live = true;
		g->building_n--;
		g->live_n++;
		publish(g, r->location, building);
	}
	if (live)
		leave(g, live);
}

/* ---- numbers ---- */

static struct group_number *
number_at(const struct groups *g, const struct group *group, uint32_t sku)
{
	return &g->numbers[(uint64_t)number_of(g, group) * g->skus_max + sku];
}

static void
number_set(struct group_number *n, int64_t ats, uint64_t seq)
{
	atomic_store_explicit(&n->seq, atomic_load_explicit(&n->seq, relaxed) | 1, relaxed);
	atomic_store_explicit(&n->ats, ats, memory_order_release);
	atomic_store_explicit(&n->seq, seq * 2, memory_order_release);
}

void
groups_cell_changed(struct groups *g, uint32_t sku, uint32_t location, int64_t was, int64_t now, uint64_t seq)
{
	const struct membership *m = &g->of_location[location];
	for (uint16_t k = 0; k < m->n; k++) {
		const struct group *group = &g->at[m->group[k]];
		struct group_number *n = number_at(g, group, sku);
		if (!group->live && sku >= group->cursor)
			continue;
		number_set(n, atomic_load_explicit(&n->ats, relaxed) - qty_floor(was) + qty_floor(now), seq);
	}
}

static void
derive(struct groups *g, const struct group *group, const struct cells *cells, uint32_t sku, uint64_t seq)
{
	int64_t ats = 0;
	for (uint32_t i = 0; i < group->members_n; i++) {
		uint32_t n = cells_find(cells, sku, group->members[i]);
		struct cell_image image;
		if (n == CELL_NONE)
			continue;
		cell_load(&cells->at[n], &image);
		ats += qty_floor(cell_ats(&image));
	}
	number_set(number_at(g, group, sku), ats, seq);
}

bool
groups_build(struct groups *g, struct group *group, const struct cells *cells, uint32_t skus, uint64_t seq)
{
	for (uint32_t budget = LINES_MAX; group->cursor < skus && budget >= group->members_n; budget -= group->members_n)
		derive(g, group, cells, group->cursor++, seq);
	return group->cursor == skus;
}

void
groups_load_done(struct groups *g, const struct cells *cells, uint32_t skus, uint64_t seq)
{
	g->deriving = true;
	for (uint32_t i = 0; i < 2 * g->max; i++)
		if (g->at[i].used && g->at[i].live)
			for (g->at[i].cursor = 0; !groups_build(g, &g->at[i], cells, skus, seq);)
				;
}

/* ---- readers ---- */

/* After loads with acquire: what they saw of a later definition brings its place word with them. */
static bool
still(const struct groups *g, uint32_t location, uint64_t place)
{
	return atomic_load_explicit(&g->place[location], relaxed) == place;
}

bool
group_read(const struct groups *g, uint32_t location, uint64_t place, uint32_t sku, int64_t *ats, uint64_t *seq)
{
	const struct group_number *n = number_at(g, &g->at[(uint32_t)place - 2], sku);
	for (;;) {
		uint64_t before = atomic_load_explicit(&n->seq, memory_order_acquire);
		*ats = atomic_load_explicit(&n->ats, memory_order_acquire);
		if (!still(g, location, place))
			return false;
		if (!(before & 1) && atomic_load_explicit(&n->seq, relaxed) == before) {
			*seq = before / 2;
			return true;
		}
	}
}

uint32_t
group_members(const struct groups *g, uint32_t location, uint64_t place, uint32_t members[GROUP_MEMBERS_MAX])
{
	const struct group *group = &g->at[(uint32_t)place - 2];
	uint32_t n = atomic_load_explicit(&group->members_n, memory_order_acquire);
	for (uint32_t i = 0; i < n; i++)
		members[i] = atomic_load_explicit(&group->members[i], memory_order_acquire);
	return still(g, location, place) ? n : 0;
}
