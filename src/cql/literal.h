/* Texts to values and back, by type: the literals of statements, the strings of JSON, and how values are shown. */
#ifndef TM_CQL_LITERAL_H
#define TM_CQL_LITERAL_H
#include "base/civil.h"
#include "cql/ast.h"
#include "cql/cql.h"

/* Bytes of a literal as a native type; name is the receiver's, for errors. TM_INVALID with Cassandra's text. */
tm_rc cql_literal(struct tm_arena *arena, const struct cql_expr *e, const struct tm_cql_type *type, struct tm_str name, struct tm_str *ret,
		  struct tm_err *err) TM_CHECKED;
/* May a literal of this kind stand for a value of this type? */
bool cql_literal_fits(enum cql_expr_kind kind, enum tm_cql_kind type);
const char *cql_literal_kind_name(enum cql_expr_kind kind);
/* Bytes of a text as Cassandra's fromString of the type. */
tm_rc cql_from_string(struct tm_arena *arena, const struct tm_cql_type *type, struct tm_str text, struct tm_str *ret,
		      struct tm_err *err) TM_CHECKED;

struct tm_str cql_be32(struct tm_arena *arena, int32_t v);
struct tm_str cql_be64(struct tm_arena *arena, int64_t v);
struct tm_str cql_double_bytes(struct tm_arena *arena, double v);
struct tm_str cql_float_bytes(struct tm_arena *arena, float v);
int64_t cql_int_of(struct tm_str bytes);   /* big-endian signed of 1 to 8 bytes */
double cql_double_of(struct tm_str bytes); /* of 4 or 8 bytes */

struct cql_duration {
	int32_t months, days;
	int64_t nanos;
};
bool cql_duration_of(struct tm_str bytes, struct cql_duration *ret);
struct tm_str cql_duration_bytes(struct tm_arena *arena, struct cql_duration d);

/* Java's Double.toString and Float.toString. */
void cql_double_text(double v, bool single, struct tm_buf *out);
enum cql_time_style { CQL_TIME_JSON, CQL_TIME_ISO };
void cql_timestamp_text(int64_t ms, enum cql_time_style style, struct tm_buf *out);
/* A native value as Cassandra's getString gives it (timestamps as in JSON). */
void cql_native_text(const struct tm_cql_type *type, struct tm_str bytes, struct tm_buf *out);
#endif
