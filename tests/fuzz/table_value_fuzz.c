/* Serialised CQL values: a type made of the first bytes, then two values (lengths of two bytes). What is valid has an order, an
 * ordered form whose bytes have the same order, and comes back from that form (equal, not always the same bytes: a varint may have been
 * written with needless zeros). */
#include "table/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum tm_cql_kind scalars[] = {TM_CQL_ASCII,   TM_CQL_BIGINT,   TM_CQL_BLOB,     TM_CQL_BOOLEAN,   TM_CQL_DECIMAL,
					   TM_CQL_DOUBLE,  TM_CQL_FLOAT,    TM_CQL_INT,      TM_CQL_TIMESTAMP, TM_CQL_UUID,
					   TM_CQL_VARCHAR, TM_CQL_VARINT,   TM_CQL_TIMEUUID, TM_CQL_INET,      TM_CQL_DATE,
					   TM_CQL_TIME,    TM_CQL_SMALLINT, TM_CQL_TINYINT,  TM_CQL_DURATION};
enum { SCALARS = sizeof scalars / sizeof *scalars };

static const struct tm_cql_type *type_of(struct tm_arena *arena, struct tm_cursor *c, int depth)
{
	struct tm_cql_type *t = TM_NEW(arena, struct tm_cql_type);
	uint8_t b = tm_cursor_u8(c), k = (b & 0x7F) % (SCALARS + 5);
	t->frozen = true;
	t->reversed = depth == 0 && b & 0x80;
	if (k < SCALARS || depth > 3) {
		t->kind = scalars[k % SCALARS];
		return t;
	}
	static const enum tm_cql_kind nests[] = {TM_CQL_LIST, TM_CQL_SET, TM_CQL_MAP, TM_CQL_TUPLE, TM_CQL_VECTOR};
	t->kind = nests[k - SCALARS];
	t->arg_count = t->kind == TM_CQL_MAP ? 2 : t->kind == TM_CQL_TUPLE ? 3 : 1;
	t->dimension = t->kind == TM_CQL_VECTOR ? 3 : 0;
	const struct tm_cql_type **args = TM_NEW_N(arena, const struct tm_cql_type *, t->arg_count);
	for (size_t i = 0; i < t->arg_count; i++)
		args[i] = type_of(arena, c, depth + 1);
	t->args = args;
	return t;
}

static int sign(int v) { return (v > 0) - (v < 0); }

static int compare_bytes(const struct tm_buf *a, const struct tm_buf *b)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int c = n ? memcmp(a->at, b->at, n) : 0;
	return c ? sign(c) : (a->len > b->len) - (a->len < b->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_arena arena;
	struct tm_cursor c = tm_cursor_of(tm_str_n((const char *)data, size));
	struct tm_err err;
	tm_arena_init(&arena);
	const struct tm_cql_type *t = type_of(&arena, &c, 0);
	struct tm_str a = tm_cursor_take(&c, tm_cursor_be16(&c)), b = tm_cursor_take(&c, tm_cursor_be16(&c)), back;
	if (!tm_cursor_ok(&c) || tm_value_validate(t, a, &err) != TM_OK || tm_value_validate(t, b, &err) != TM_OK)
		goto out;
	int order = sign(tm_value_compare(t, a, b));
	TM_ASSERT(order == -sign(tm_value_compare(t, b, a)));
	struct tm_buf fa = {0}, fb = {0}, again = {0};
	tm_value_order_put(t, a, &fa);
	tm_value_order_put(t, b, &fb);
	TM_ASSERT(compare_bytes(&fa, &fb) == (t->reversed ? -order : order));
	struct tm_cursor form = tm_cursor_of(tm_buf_str(&fa));
	TM_ASSERT(tm_value_order_take(t, &form, &arena, &back) && tm_cursor_left(&form) == 0);
	TM_ASSERT(tm_value_compare(t, a, back) == 0);
	tm_value_order_put(t, back, &again);
	TM_ASSERT(compare_bytes(&fa, &again) == 0);
	/* Any bytes may stand where a form is expected. */
	form = tm_cursor_of(tm_str_n((const char *)data, size));
	if (tm_value_order_take(t, &form, &arena, &back))
		TM_ASSERT(back.len <= size * 64 + 64);
	tm_buf_done(&fa);
	tm_buf_done(&fb);
	tm_buf_done(&again);
out:
	tm_arena_done(&arena);
	return 0;
}
