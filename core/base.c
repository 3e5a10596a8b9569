#include "core/base.h"
#include "core/command.h"
#include "core/engine.h"
#include "core/entry.h"

/* A name from a table; what is outside it is a bug of the caller. */
#define NAME_FROM(table, i) \
	do { \
		ensure((size_t)(i) < sizeof(table) / sizeof(table)[0] && (table)[i] != NULL); \
		return (table)[i]; \
	} while (0)

const char *
status_name(enum status status)
{
	static const char *const names[] = {
#define X(name, text) [STATUS_##name] = text,
		STATUS_LIST(X)
#undef X
	};
	NAME_FROM(names, status);
}

const char *
reservation_state_name(enum reservation_state state)
{
	static const char *const names[] = {
		[RESERVATION_HELD] = "held", [RESERVATION_COMMITTED] = "committed", [RESERVATION_FULFILLED] = "fulfilled",
		[RESERVATION_HANDED_OVER] = "handed_over", [RESERVATION_RELEASED] = "released", [RESERVATION_EXPIRED] = "expired",
	};
	NAME_FROM(names, state);
}

const char *
event_outcome_name(enum event_outcome outcome)
{
	static const char *const names[] = {
		[OUTCOME_NONE] = "none", [OUTCOME_APPLIED] = "applied", [OUTCOME_ABSORBED] = "absorbed",
		[OUTCOME_RECONCILED] = "reconciled", [OUTCOME_DUPLICATE] = "duplicate", [OUTCOME_REJECTED] = "rejected",
	};
	NAME_FROM(names, outcome);
}

const char *
option_name(enum option option)
{
	static const char *const names[] = {
		[OPTION_CREATE_UNKNOWN] = "create_unknown", [OPTION_TTL_DEFAULT_MS] = "ttl_default_ms",
		[OPTION_TTL_MAX_MS] = "ttl_max_ms", [OPTION_PIN_MAX_MS] = "pin_max_ms", [OPTION_FUTURE_MS] = "future_ms",
		[OPTION_COUNT_WINDOW_MS] = "count_window_ms", [OPTION_FREE_ID_MS] = "free_id_ms",
		[OPTION_HISTORY_MAX] = "history_max", [OPTION_FREE_IDS_MAX] = "free_ids_max",
	};
	NAME_FROM(names, option);
}

const struct engine_options engine_options_default = { .value = {
	[OPTION_CREATE_UNKNOWN] = 1,
	[OPTION_TTL_DEFAULT_MS] = 15 * 60 * 1000,
	[OPTION_TTL_MAX_MS] = 24 * 3600 * 1000,
	[OPTION_PIN_MAX_MS] = 15 * 60 * 1000,
	[OPTION_FUTURE_MS] = 5 * 60 * 1000,
	[OPTION_COUNT_WINDOW_MS] = 48 * 3600 * 1000,
	[OPTION_FREE_ID_MS] = 48 * 3600 * 1000,
	[OPTION_HISTORY_MAX] = 16000000,
	[OPTION_FREE_IDS_MAX] = 1000000,
} };
