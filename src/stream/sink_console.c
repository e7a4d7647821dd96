/* Format console: every batch as a table on standard output, as Spark prints it. */
#include "stream/provider.h"
#include <stdio.h>
#include <stdlib.h>

struct console {
	struct tm_sink s;
	struct tm_arena arena;
	struct {
		struct tm_str *items;
		size_t count, cap;
	} cells;
	int64_t rows, shown, most;
	bool truncate;
};

static tm_rc console_open(struct tm_sink *s, struct tm_err *err)
{
	struct console *me = (struct console *)s;
	tm_arena_init(&me->arena);
	const struct tm_option *o = s->spec->sink_options;
	size_t n = s->spec->sink_option_count;
	TM_TRY(tm_option_i64(o, n, "numRows", 20, &me->most, err));
	return tm_option_bool(o, n, "truncate", true, &me->truncate, err);
}

static void console_close(struct tm_sink *s) { tm_arena_done(&((struct console *)s)->arena); }

static tm_rc console_begin(struct tm_sink *s, struct tm_err *err)
{
	(void)err;
	struct console *me = (struct console *)s;
	tm_arena_reset(&me->arena);
	me->cells.items = NULL;
	me->cells.count = me->cells.cap = 0;
	me->rows = me->shown = 0;
	return TM_OK;
}

static struct tm_str cut(struct console *me, struct tm_str text)
{
	enum { WIDTH = 20 };
	if (!me->truncate || tm_utf8_count(text) <= WIDTH)
		return text;
	const char *at = text.at, *end = text.at + text.len;
	for (int i = 0; i < WIDTH - 3; i++)
		tm_utf8_next(&at, end);
	return tm_arena_printf(&me->arena, "%.*s...", (int)(at - text.at), text.at);
}

static tm_rc console_write(struct tm_sink *s, const struct tm_flow *rows, size_t *ret_written, struct tm_err *err)
{
	(void)err;
	struct console *me = (struct console *)s;
	struct tm_buf text = {0};
	for (size_t i = 0; i < rows->batch.rows; i++, me->rows++) {
		if (me->rows >= me->most)
			continue;
		me->shown++;
		for (size_t c = 0; c < rows->batch.column_count; c++) {
			text.len = 0;
			if (tm_is_null(&rows->batch.columns[c], i))
				tm_buf_cstr_put(&text, "NULL");
			else if (s->spec->value_text)
				s->spec->value_text(&s->run->session, &rows->batch.columns[c], i, &text);
			TM_PUSH_IN(&me->arena, &me->cells, cut(me, tm_arena_str(&me->arena, tm_buf_str(&text))));
		}
	}
	tm_buf_done(&text);
	*ret_written = rows->batch.rows;
	return TM_OK;
}

static void line(struct tm_buf *out, const size_t *widths, size_t n)
{
	tm_buf_char(out, '+');
	for (size_t c = 0; c < n; c++) {
		for (size_t k = 0; k < widths[c]; k++)
			tm_buf_char(out, '-');
		tm_buf_char(out, '+');
	}
	tm_buf_char(out, '\n');
}

static void cell(struct tm_buf *out, struct tm_str text, size_t width, bool left)
{
	size_t pad = width - tm_utf8_count(text);
	if (left)
		tm_buf_str_put(out, text);
	for (size_t k = 0; k < pad; k++)
		tm_buf_char(out, ' ');
	if (!left)
		tm_buf_str_put(out, text);
	tm_buf_char(out, '|');
}

static tm_rc console_finish(struct tm_sink *s, struct tm_err *err)
{
	(void)err;
	struct console *me = (struct console *)s;
	const struct tm_schema *schema = &s->spec->root->schema;
	size_t n = schema->count, *widths = TM_NEW_N(&me->arena, size_t, n + 1);
	for (size_t c = 0; c < n; c++) {
		widths[c] = tm_utf8_count(schema->fields[c].name) < 3 ? 3 : tm_utf8_count(schema->fields[c].name);
		for (int64_t r = 0; r < me->shown; r++) {
			size_t w = tm_utf8_count(me->cells.items[(size_t)r * n + c]);
			widths[c] = w > widths[c] ? w : widths[c];
		}
	}
	struct tm_buf out = {0};
	tm_buf_printf(&out, "-------------------------------------------\nBatch: %lld\n-------------------------------------------\n",
		      (long long)s->batch_id);
	line(&out, widths, n);
	tm_buf_char(&out, '|');
	for (size_t c = 0; c < n; c++)
		cell(&out, schema->fields[c].name, widths[c], !me->truncate);
	tm_buf_char(&out, '\n');
	line(&out, widths, n);
	for (int64_t r = 0; r < me->shown; r++) {
		tm_buf_char(&out, '|');
		for (size_t c = 0; c < n; c++)
			cell(&out, me->cells.items[(size_t)r * n + c], widths[c], !me->truncate);
		tm_buf_char(&out, '\n');
	}
	line(&out, widths, n);
	if (me->rows > me->shown)
		tm_buf_printf(&out, "only showing top %lld row%s\n", (long long)me->shown, me->shown == 1 ? "" : "s");
	tm_buf_char(&out, '\n');
	fwrite(out.at, 1, out.len, stdout);
	fflush(stdout);
	tm_buf_done(&out);
	return TM_OK;
}

static const char *const formats[] = {"console", NULL};
const struct tm_sink_class tm_sink_console = {.formats = formats,
					      .size = sizeof(struct console),
					      .open = console_open,
					      .close = console_close,
					      .begin = console_begin,
					      .write = console_write,
					      .finish = console_finish};
