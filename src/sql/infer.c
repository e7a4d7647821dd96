/* Columns of files that say nothing of types: JSON lines are read as Spark's schema_of_json reads one, CSV with inferSchema by
 * trying the types on every value. Only the first lines are looked at. */
#include "sql/sql_int.h"

#define SAMPLE_ROWS 10000

static struct tm_str option(const struct tm_relation *r, const char *name)
{
	for (size_t i = 0; i < r->option_count; i++)
		if (tm_str_iis(r->options[i].name, name))
			return r->options[i].value;
	return (struct tm_str){0};
}

/* The first rows of a relation. */
static tm_rc sample(struct sx *sx, struct tm_relation *relation, tm_rc (*each)(void *ctx, const struct tm_batch *batch), void *ctx)
{
	struct tm_op *scan = sx_op(sx, TM_OP_SCAN, NULL, NULL), *limit;
	size_t *columns = TM_NEW_N(sx->arena, size_t, relation->schema.count + 1);
	for (size_t i = 0; i < relation->schema.count; i++) {
		columns[i] = i;
		sx_schema_add(sx, scan, relation->schema.fields[i].name, relation->schema.fields[i].type, true);
	}
	scan->scan.relation = relation;
	scan->scan.columns = columns;
	scan->scan.column_count = relation->schema.count;
	limit = sx_op(sx, TM_OP_LIMIT, scan, NULL);
	sx_schema_copy(sx, limit, scan);
	limit->limit.count = SAMPLE_ROWS;
	return tm_plan_run(&sx->sql->world, sx->session, limit, each, ctx, sx->err);
}

struct json_sample {
	struct sx *sx;
	const struct tm_type *type;
};
static tm_rc json_lines(void *ctx, const struct tm_batch *batch)
{
	struct json_sample *s = ctx;
	for (size_t i = 0; i < batch->rows; i++)
		if (!tm_is_null(&batch->columns[0], i))
			tm_json_widen(s->sx->arena, batch->columns[0].str[tm_row(&batch->columns[0], i)], &s->type);
	/* Field names point into the batch. */
	s->type = tm_type_copy(s->sx->arena, s->type);
	return TM_OK;
}

static tm_rc infer_json(struct sx *sx, struct tm_relation *relation)
{
	struct tm_relation text = *relation;
	struct json_sample s = {sx, &tm_type_null};
	text.format = TM_STR("text");
	TM_TRY(tm_source_describe(&sx->sql->world, &text, sx->arena, sx->err));
	TM_TRY(sample(sx, &text, json_lines, &s));
	if (s.type->kind != TM_T_STRUCT || !s.type->child_count)
		return sx_fail(sx, 0, 0, "UNABLE_TO_INFER_SCHEMA", "42KD9",
			       "Unable to infer schema for JSON. It must be specified manually.");
	const struct tm_type *t = tm_json_settle(sx->arena, s.type);
	relation->schema.count = t->child_count;
	relation->schema.fields = TM_NEW_N(sx->arena, struct tm_field, t->child_count);
	for (size_t i = 0; i < t->child_count; i++)
		relation->schema.fields[i] = (struct tm_field){t->names[i], t->children[i], true};
	return TM_OK;
}

/* From narrow to wide; a column takes the first that all its values can be cast to. */
static const struct tm_type *const csv_types[] = {&tm_type_int,  &tm_type_bigint,    &tm_type_double,
						  &tm_type_date, &tm_type_timestamp, &tm_type_boolean};
#define CSV_TYPES (sizeof csv_types / sizeof *csv_types)
struct csv_sample {
	struct sx *sx;
	size_t columns;
	bool *fits, *seen;
};

static tm_rc csv_values(void *ctx, const struct tm_batch *batch)
{
	struct csv_sample *s = ctx;
	struct sx *sx = s->sx;
	struct tm_eval ev = {.arena = sx->arena, .session = sx->session, .in = batch, .rows = batch->rows, .err = sx->err};
	for (size_t c = 0; c < s->columns; c++)
		for (size_t t = 0; t < CSV_TYPES; t++) {
			struct tm_expr *cast;
			struct tm_column values;
			if (!s->fits[c * CSV_TYPES + t])
				continue;
			TM_TRY(tm_cast_bind(sx->arena, sx->session, sx_column_expr(sx, c, &tm_type_string, true, TM_STR("c")), csv_types[t],
					    TM_CAST_TRY, &cast, sx->err));
			TM_TRY(tm_expr_eval(&ev, cast, &values));
			for (size_t i = 0; i < batch->rows; i++) {
				if (tm_is_null(&batch->columns[c], i))
					continue;
				struct tm_str text = batch->columns[c].str[tm_row(&batch->columns[c], i)];
				bool date_like = tm_str_find(text, TM_STR("-"), 1) != SIZE_MAX,
				     word = tm_str_iis(text, "true") || tm_str_iis(text, "false");
				s->seen[c] = true;
				if (tm_is_null(&values, i) || (csv_types[t]->kind == TM_T_BOOLEAN && !word) ||
				    ((csv_types[t]->kind == TM_T_DATE || csv_types[t]->kind == TM_T_TIMESTAMP) && !date_like) ||
				    (csv_types[t]->kind == TM_T_DATE && text.len > 10))
					s->fits[c * CSV_TYPES + t] = false;
			}
		}
	return TM_OK;
}

static tm_rc infer_csv(struct sx *sx, struct tm_relation *relation)
{
	TM_TRY(tm_source_describe(&sx->sql->world, relation, sx->arena, sx->err));
	size_t n = relation->schema.count;
	struct csv_sample s = {sx, n, TM_NEW_N(sx->arena, bool, n *CSV_TYPES + 1), TM_NEW_N(sx->arena, bool, n + 1)};
	memset(s.fits, 1, n * CSV_TYPES);
	struct tm_relation strings = *relation;
	TM_TRY(sample(sx, &strings, csv_values, &s));
	struct tm_field *fields = TM_NEW_N(sx->arena, struct tm_field, n + 1);
	for (size_t c = 0; c < n; c++) {
		fields[c] = relation->schema.fields[c];
		for (size_t t = 0; s.seen[c] && t < CSV_TYPES; t++)
			if (s.fits[c * CSV_TYPES + t]) {
				fields[c].type = csv_types[t];
				break;
			}
	}
	relation->schema.fields = fields;
	return TM_OK;
}

tm_rc sx_infer(struct sx *sx, struct tm_relation *relation)
{
	if (!option(relation, "path").at)
		return TM_OK;
	if (tm_str_iis(relation->format, "json"))
		return infer_json(sx, relation);
	if (tm_str_iis(relation->format, "csv") && tm_str_iis(option(relation, "inferSchema"), "true"))
		return infer_csv(sx, relation);
	return TM_OK;
}
