/* Column vectors and batches. Everything in a batch lives in one arena (or in memory that outlives it) and is freed with it:
 * strings are views, so a JSON field, a substring or a filtered row is never copied. State keeps copies of what must live longer.
 * Against Arrow's layout: validity is a byte per row (kernels vectorise without bit tricks), strings are pointer and length,
 * lists are offset and count (Arrow's list view). */
#ifndef TM_COLUMN_COLUMN_H
#define TM_COLUMN_COLUMN_H
#include "column/type.h"

struct tm_column {
	const struct tm_type *type;
	size_t rows;
	bool constant;  /* row 0 stands for all rows: valid and data have one entry, children are constant too */
	uint8_t *valid; /* 1 = there is a value; NULL = in every row. Data of a null row is unspecified but readable */
	union {
		void *data;
		uint8_t *boolean; /* BOOLEAN: 0 or 1 */
		int8_t *i8;
		int16_t *i16;
		int32_t *i32; /* INT, DATE, INTERVAL_YM */
		int64_t *i64; /* BIGINT, TIMESTAMP, TIMESTAMP_NTZ, TIME, INTERVAL_DT */
		float *f32;
		double *f64;
		__int128 *i128;     /* DECIMAL */
		struct tm_str *str; /* STRING, BINARY, VARIANT; null rows hold {NULL, 0} or any readable view */
		struct tm_interval *interval;
		struct tm_span *span; /* ARRAY, MAP; of null rows: count 0 */
	};
	struct tm_column *children; /* ARRAY: element; MAP: key, value (same rows); STRUCT: fields, each as many rows as this */
};
struct tm_batch {
	size_t rows;
	size_t column_count;
	struct tm_column *columns;
};

static inline size_t tm_row(const struct tm_column *c, size_t row) { return c->constant ? 0 : row; }
static inline bool tm_is_null(const struct tm_column *c, size_t row)
{
	return c->type->kind == TM_T_NULL || (c->valid && !c->valid[tm_row(c, row)]);
}

/* An integer of any width, a boolean, or what is stored as an integer (dates, times, intervals of months); not null. */
static inline int64_t tm_value_integer(const struct tm_column *c, size_t row)
{
	row = tm_row(c, row);
	if (c->type->kind == TM_T_INT) /* the usual one needs no table of jumps */
		return c->i32[row];
	switch (c->type->kind) { /* not by tm_type_width: no call for every row */
	case TM_T_BOOLEAN:
		return c->boolean[row];
	case TM_T_TINYINT:
		return c->i8[row];
	case TM_T_SMALLINT:
		return c->i16[row];
	case TM_T_DATE:
	case TM_T_INTERVAL_YM:
		return c->i32[row];
	default:
		return c->i64[row];
	}
}

/* Room for rows values; strings and spans are cleared, numbers are not; no valid array. The children of STRUCT are made too
 * (rows each), those of ARRAY and MAP get 0 rows: the caller makes them. */
void tm_column_init(struct tm_column *ret, struct tm_arena *arena, const struct tm_type *type, size_t rows);
uint8_t *tm_column_need_valid(struct tm_column *c, struct tm_arena *arena); /* makes valid, all 1, where it is NULL */
void tm_column_init_null(struct tm_column *ret, struct tm_arena *arena, const struct tm_type *type, size_t rows); /* constant null */
void tm_column_flatten(struct tm_column *c, struct tm_arena *arena); /* constant -> an entry per row */
/* Rows index[0..n) of c, in that order; views, no deep copy. UINT32_MAX gives null. */
void tm_column_take(struct tm_column *ret, struct tm_arena *arena, const struct tm_column *c, const uint32_t *index, size_t n);
/* Rows from..from+n; shares memory. */
void tm_column_slice(struct tm_column *ret, struct tm_arena *arena, const struct tm_column *c, size_t from, size_t n);
/* One after the other; all of one type; n >= 1. */
void tm_column_concat(struct tm_column *ret, struct tm_arena *arena, const struct tm_column *const *parts, size_t n);
/* Deep copy into another lifetime, strings included; never constant afterwards unless it was. */
void tm_column_copy(struct tm_column *ret, struct tm_arena *arena, const struct tm_column *c);
void tm_batch_take(struct tm_batch *ret, struct tm_arena *arena, const struct tm_batch *b, const uint32_t *index, size_t n);
void tm_batch_copy(struct tm_batch *ret, struct tm_arena *arena, const struct tm_batch *b);

/* Spark's order within a type: null before all values (a caller that sorts decides otherwise for the top level), NaN = NaN and
 * largest, -0.0 = 0.0, strings and binary by bytes, arrays and structs element by element. */
int tm_value_cmp(const struct tm_column *a, size_t row_a, const struct tm_column *b, size_t row_b);
/* Grouping equality (null equals null; maps by their entries in order) and a hash that agrees with it. */
bool tm_value_eq(const struct tm_column *a, size_t row_a, const struct tm_column *b, size_t row_b);
uint64_t tm_value_hash(const struct tm_column *c, size_t row, uint64_t seed);
/* Hashes of rows over several columns, by type; out[i] for row i. */
void tm_rows_hash(const struct tm_column *columns, size_t column_count, size_t rows, uint64_t *out);

/* ---- bytes ---- A value as self-contained bytes (keys of state, checkpoints). Decoding is bounds-checked. */
void tm_value_encode(const struct tm_column *c, size_t row, struct tm_buf *out);

/* Grows a column row by row in an arena; copies deeply. */
struct tm_appender;
struct tm_appender *tm_appender_new(struct tm_arena *arena, const struct tm_type *type);
void tm_appender_value(struct tm_appender *a, const struct tm_column *c, size_t row);
void tm_appender_null(struct tm_appender *a);
/* What tm_value_encode wrote; false (nothing appended) when the bytes are not a value of this type. */
bool tm_appender_decode(struct tm_appender *a, struct tm_cursor *bytes);
size_t tm_appender_rows(const struct tm_appender *a);
void tm_appender_finish(struct tm_appender *a, struct tm_column *ret); /* shares the appender's memory */
#endif
