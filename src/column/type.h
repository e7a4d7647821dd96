/* Spark's data types. Immutable; made in an arena that outlives their users (plan, query), compared by structure. */
#ifndef TM_COLUMN_TYPE_H
#define TM_COLUMN_TYPE_H
#include "base/base.h"

enum tm_type_kind {
	TM_T_NULL, /* void */
	TM_T_BOOLEAN,
	TM_T_TINYINT,
	TM_T_SMALLINT,
	TM_T_INT,
	TM_T_BIGINT,
	TM_T_FLOAT,
	TM_T_DOUBLE,
	TM_T_DECIMAL, /* precision, scale; unscaled value as __int128 */
	TM_T_STRING,  /* UTF-8; CHAR(n)/VARCHAR(n) are strings with length > 0 */
	TM_T_BINARY,
	TM_T_DATE,          /* int32 days since 1970-01-01, proleptic Gregorian */
	TM_T_TIMESTAMP,     /* int64 microseconds since 1970 UTC, shown in the session time zone */
	TM_T_TIMESTAMP_NTZ, /* int64 microseconds of local time */
	TM_T_TIME,          /* int64 nanoseconds of the day; precision 0..6 */
	TM_T_INTERVAL_YM,   /* int32 months; from_field..to_field */
	TM_T_INTERVAL_DT,   /* int64 microseconds; from_field..to_field */
	TM_T_INTERVAL,      /* CalendarInterval: months, days, microseconds */
	TM_T_VARIANT,       /* JSON text in normal form */
	TM_T_ARRAY,
	TM_T_MAP,
	TM_T_STRUCT,
	TM_T_KIND_COUNT
};
enum tm_interval_field { TM_F_YEAR, TM_F_MONTH, TM_F_DAY, TM_F_HOUR, TM_F_MINUTE, TM_F_SECOND };

struct tm_type {
	enum tm_type_kind kind;
	uint8_t precision, scale;     /* DECIMAL, TIME */
	uint8_t from_field, to_field; /* intervals */
	int32_t length;               /* CHAR, VARCHAR; 0 = none */
	bool fixed_length;            /* CHAR */
	size_t child_count;           /* ARRAY 1; MAP 2 (key, value); STRUCT n */
	const struct tm_type **children;
	const struct tm_str *names; /* STRUCT */
	const bool *nullable;       /* per child: ARRAY containsNull, MAP {false, valueContainsNull}, STRUCT fields */
};
struct tm_interval {
	int32_t months, days;
	int64_t micros;
};
struct tm_span {
	uint32_t from, count;
}; /* of an ARRAY or MAP: rows of the child column(s) */

/* One shared value per type without parameters. */
extern const struct tm_type tm_type_null, tm_type_boolean, tm_type_tinyint, tm_type_smallint, tm_type_int, tm_type_bigint, tm_type_float,
    tm_type_double, tm_type_string, tm_type_binary, tm_type_date, tm_type_timestamp, tm_type_timestamp_ntz, tm_type_interval,
    tm_type_variant;
const struct tm_type *tm_type_decimal(struct tm_arena *arena, int precision, int scale);
const struct tm_type *tm_type_array(struct tm_arena *arena, const struct tm_type *element, bool contains_null);
const struct tm_type *tm_type_map(struct tm_arena *arena, const struct tm_type *key, const struct tm_type *value, bool value_contains_null);
/* Copies the lists and names; nullable NULL = all are. */
const struct tm_type *tm_type_struct(struct tm_arena *arena, size_t n, const struct tm_str *names, const struct tm_type *const *types,
				     const bool *nullable);
const struct tm_type *tm_type_interval_ym(struct tm_arena *arena, enum tm_interval_field from, enum tm_interval_field to);
const struct tm_type *tm_type_interval_dt(struct tm_arena *arena, enum tm_interval_field from, enum tm_interval_field to);
const struct tm_type *tm_type_time(struct tm_arena *arena, int precision);
const struct tm_type *tm_type_copy(struct tm_arena *arena, const struct tm_type *type); /* deep, into another lifetime */

bool tm_type_eq(const struct tm_type *a, const struct tm_type *b);   /* names and nullability too */
bool tm_type_same(const struct tm_type *a, const struct tm_type *b); /* nullability aside, field names without case */
bool tm_type_numeric(const struct tm_type *t);
bool tm_type_integral(const struct tm_type *t);
bool tm_type_orderable(const struct tm_type *t); /* no map, variant or calendar interval inside */
size_t tm_type_width(const struct tm_type *t);   /* bytes per row of column.data; 0 for NULL and STRUCT */
/* simpleString: "array<int>", "struct<a:int,b:string>", "decimal(10,2)" (Spark's typeof and the schemas of the vectors). */
void tm_type_text(const struct tm_type *t, struct tm_buf *out);
/* SQL form for messages: "INT", "STRUCT<a: INT NOT NULL>", "DECIMAL(10,2)". */
void tm_type_sql(const struct tm_type *t, struct tm_buf *out);

struct tm_field {
	struct tm_str name;
	const struct tm_type *type;
	bool nullable;
};
struct tm_schema {
	size_t count;
	struct tm_field *fields;
};
#endif
