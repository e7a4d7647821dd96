/* Statements of a pipeline for an engine elsewhere (steps.h). The parser marked the places; here it is found out what stands there. */
#include "sql/datetime.h"
#include "sql/sql_int.h"

static bool is_common(const struct ast_stmt *s, struct tm_str name)
{
	for (size_t i = 0; i < s->marks.count; i++)
		if (s->marks.items[i].kind == AST_MARK_CTE && tm_str_ieq(s->marks.items[i].name, name))
			return true;
	return false;
}

static bool reads_common(const struct ast_stmt *s, size_t from, size_t to)
{
	for (size_t i = 0; i < s->marks.count; i++) {
		const struct ast_mark *m = &s->marks.items[i];
		if (m->kind == AST_MARK_REL && m->from >= from && m->base_to <= to && m->rel->kind == AST_REL_NAME &&
		    is_common(s, m->rel->names.items[0]))
			return true;
	}
	return false;
}

static struct tm_str dotted(struct tm_arena *arena, const struct ast_names *names)
{
	struct tm_str all = names->items[0];
	for (size_t i = 1; i < names->count; i++)
		all = tm_arena_printf(arena, "%.*s.%.*s", TM_STR_ARG(all), TM_STR_ARG(names->items[i]));
	return all;
}

/* A name in FROM that is read as it is, whoever reads it: a file by its path. */
static bool is_file(const struct ast_rel *r)
{
	static const char *const others[] = {"kafka", "cassandra", "rate", "memory", NULL};
	if (r->names.count != 2 || r->stream)
		return false;
	bool format = false;
	for (size_t i = 0; tm_source_formats[i]; i++)
		format = format || tm_str_iis(r->names.items[0], tm_source_formats[i]);
	for (size_t i = 0; others[i]; i++)
		format = format && !tm_str_iis(r->names.items[0], others[i]);
	return format;
}

static tm_rc watermark_mark(struct tm_sql *sql, struct tm_arena *arena, const struct ast_stmt *s, struct tm_str text,
			    struct tm_text_mark *m, const struct ast_rel *r, struct tm_err *err)
{
	const struct ast_watermark *w = r->watermark;
	struct sx sx = sx_begin(sql, arena, err);
	struct sx_env env = {.sx = &sx};
	struct tm_expr *delay;
	int32_t months;
	m->kind = TM_MARK_WATERMARK;
	m->line = w->line;
	m->column = w->column;
	TM_TRY(sx_resolve(&env, w->delay, &delay));
	TM_TRY(sx_interval_us(&env, delay, &m->delay_us, &months));
	if (!tm_micros_of(months * (int64_t)31, m->delay_us, &m->delay_us))
		return sx_interval_overflow(&sx, w->line, w->column);
	m->name = w->name;
	const struct ast_names *names = &w->expr->names;
	if (w->expr->kind != AST_NAME || names->count > 1 || w->name.at)
		m->expr = tm_str_slice(text, w->expr->from, w->expr->to);
	if (!m->name.at && w->expr->kind == AST_NAME)
		m->name = names->items[names->count - 1];
	if (r->kind == AST_REL_NAME && !r->alias.at)
		m->alias = r->names.items[r->names.count - 1];
	m->common = reads_common(s, m->from, m->base_to);
	return TM_OK;
}

tm_rc tm_sql_step_marks(struct tm_sql *sql, const struct ast_stmt *s, struct tm_str text, struct tm_step *io_step, struct tm_err *err)
{
	struct tm_arena *arena = &sql->arena;
	struct tm_text_mark *marks = TM_NEW_N(arena, struct tm_text_mark, s->marks.count * 2 + 1);
	size_t n = 0, begin = s->query->from;
	for (size_t i = 0; i < s->marks.count; i++) {
		const struct ast_mark *a = &s->marks.items[i];
		struct tm_text_mark m = {.line = a->line, .column = a->column, .name = a->name};
		if (a->kind == AST_MARK_CTE)
			continue;
		if (a->kind != AST_MARK_REL) {
			m.kind = a->kind == AST_MARK_CALL ? TM_MARK_CALL : TM_MARK_NEW;
			marks[n++] = m;
			continue;
		}
		bool again = false; /* the parser went back over it */
		for (size_t k = i + 1; k < s->marks.count; k++)
			again = again || (s->marks.items[k].kind == AST_MARK_REL && s->marks.items[k].from == a->from &&
					  s->marks.items[k].to == a->to);
		if (again)
			continue;
		m.from = a->from;
		m.to = m.base_to = a->base_to;
		if (a->rel->kind == AST_REL_NAME && text.at[a->from] != '(' && !is_file(a->rel)) {
			m.name = dotted(arena, &a->rel->names);
			bool view = a->rel->names.count == 1 && (tm_sql_view(sql, m.name) || is_common(s, m.name));
			m.kind = !view ? TM_MARK_OUTSIDE : a->rel->stream ? TM_MARK_STREAM : TM_MARK_TABLE;
			marks[n++] = m;
		}
		if (a->to > a->base_to) {
			m.to = a->to;
			TM_TRY(watermark_mark(sql, arena, s, text, &m, a->rel, err));
			marks[n++] = m;
		}
	}
	for (size_t i = 0; i < n; i++) {
		marks[i].from -= marks[i].to ? begin : 0;
		marks[i].base_to -= marks[i].to ? begin : 0;
		marks[i].to -= marks[i].to ? begin : 0;
	}
	io_step->text = tm_str_trim(tm_str_slice(text, begin, s->to));
	io_step->text_line = s->query->line;
	io_step->text_column = s->query->column;
	io_step->marks = marks;
	io_step->mark_count = n;
	return TM_OK;
}
