/* Text from outside into values: a string cast to every type, types from DDL, date patterns, JSON paths, regular expressions.
 * The first byte says which; for patterns a line feed parts the pattern from the text. */
#include <stdlib.h>
#include "sql/fn_int.h"
#include "sql/json_text.h"

static const char *const types[] = {"boolean",
				    "tinyint",
				    "smallint",
				    "int",
				    "bigint",
				    "float",
				    "double",
				    "decimal(10,2)",
				    "decimal(38,38)",
				    "string",
				    "binary",
				    "date",
				    "timestamp",
				    "timestamp_ntz",
				    "time",
				    "interval",
				    "interval year to month",
				    "interval month",
				    "interval day to second",
				    "interval hour to minute",
				    "interval second"};

static const struct tm_session session = {.time_zone = "Europe/Berlin", .ansi = true, .now_us = 1700000000000000};

static struct tm_expr *literal(struct tm_arena *arena, struct tm_str s)
{
	struct tm_expr *e = TM_NEW(arena, struct tm_expr);
	e->kind = TM_EXPR_LITERAL;
	e->type = &tm_type_string;
	tm_column_init(&e->literal, arena, e->type, 1);
	e->literal.constant = true;
	e->literal.str[0] = s;
	e->text = s;
	return e;
}

static void eval(struct tm_arena *arena, struct tm_expr *e)
{
	struct tm_err err = {0};
	struct tm_eval ev = {.arena = arena, .session = &session, .rows = 1, .err = &err};
	struct tm_column c;
	struct tm_buf out = {0};
	if (tm_expr_eval(&ev, e, &c) == TM_OK) {
		tm_value_text(&session, &c, 0, &out);
		tm_value_json(&session, &c, 0, &out);
	}
	tm_buf_done(&out);
}

static void casts(struct tm_arena *arena, struct tm_str s)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		for (int mode = TM_CAST_LEGACY; mode <= TM_CAST_TRY; mode++) {
			const struct tm_type *t;
			struct tm_expr *e;
			struct tm_err err = {0};
			if (tm_type_parse(arena, tm_str_of(types[i]), &t, &err) == TM_OK &&
			    tm_cast_bind(arena, &session, literal(arena, s), t, (enum tm_cast_mode)mode, &e, &err) == TM_OK)
				eval(arena, e);
		}
}

static void call(struct tm_arena *arena, const char *name, struct tm_expr **args, size_t n)
{
	struct tm_err err = {0};
	struct tm_fn_bind b = {.arena = arena, .session = &session};
	struct tm_expr *e;
	if (fn_call(&b, name, args, n, &e, &err) == TM_OK)
		eval(arena, e);
}

static void pairs(struct tm_arena *arena, struct tm_str s, int what)
{
	struct tm_str rest = s, first = {"", 0};
	if (!tm_str_split(&rest, '\n', &first))
		return;
	if (!rest.at)
		rest = (struct tm_str){"", 0};
	struct tm_expr *pattern = literal(arena, first), *text = literal(arena, rest),
		       *args[3] = {text, pattern, literal(arena, TM_STR("[$0]"))};
	switch (what) {
	case 0: {
		struct tm_expr *time[2] = {fn_make_literal_int(arena, &tm_type_timestamp, 1234567890123456), pattern};
		call(arena, "to_timestamp", args, 2);
		call(arena, "date_format", time, 2);
		break;
	}
	case 1:
		call(arena, "regexp_replace", args, 3);
		call(arena, "split", args, 2);
		call(arena, "like", args, 2);
		break;
	default:
		call(arena, "get_json_object", args, 2);
		call(arena, "parse_json", &text, 1);
		call(arena, "schema_of_json", &text, 1);
		call(arena, "schema_of_csv", &text, 1);
		call(arena, "parse_url", (struct tm_expr *[]){text, literal(arena, TM_STR("HOST"))}, 2);
		call(arena, "url_decode", &text, 1);
		call(arena, "unbase64", &text, 1);
		call(
		    arena, "conv",
		    (struct tm_expr *[]){text, fn_make_literal_int(arena, &tm_type_int, 36), fn_make_literal_int(arena, &tm_type_int, -10)},
		    3);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tm_arena arena;
	if (size < 1 || size > 4096)
		return 0;
	struct tm_str s = {(const char *)data + 1, size - 1};
	tm_arena_init(&arena);
	if (data[0] % 5 == 0) {
		casts(&arena, s);
	} else if (data[0] % 5 == 1) {
		const struct tm_type *t;
		struct tm_err err = {0};
		struct tm_buf out = {0};
		if (tm_type_parse(&arena, s, &t, &err) == TM_OK) {
			tm_type_sql(t, &out);
			tm_type_text(t, &out);
		}
		tm_buf_done(&out);
	} else {
		pairs(&arena, s, data[0] % 5 - 2);
	}
	tm_arena_done(&arena);
	return 0;
}
