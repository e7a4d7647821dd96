/* The file: a line "tidemill-export VERSION CHECKSUM", then a line for each mark. The checksum is XXH64 of all behind the first line. */
#include "cli/export_state.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { VERSION = 1, FIELDS = 7 };
#define HEAD "tidemill-export "

static bool number(struct tm_str *rest, int64_t *ret)
{
	struct tm_str part;
	return tm_str_split(rest, ' ', &part) && tm_str_to_i64(part, ret);
}

/* "NAME first next base count checksum begun"; names have no blanks. */
static bool read_mark(struct tm_export_state *s, struct tm_str line)
{
	struct tm_str name;
	int64_t n[FIELDS - 1];
	if (!tm_str_split(&line, ' ', &name) || name.len == 0)
		return false;
	for (size_t i = 0; i < FIELDS - 1; i++)
		if (!number(&line, &n[i]))
			return false;
	struct tm_export_mark *m = tm_export_state_add(s, name);
	m->first = n[0], m->next = n[1], m->base = n[2], m->count = n[3], m->checksum = (uint64_t)n[4], m->begun = n[5] != 0;
	return true;
}

static bool read_all(struct tm_export_state *s, struct tm_str text)
{
	struct tm_str head, line;
	int64_t version;
	if (!tm_str_split(&text, '\n', &head) || !tm_str_starts(head, TM_STR(HEAD)))
		return false;
	head = tm_str_slice(head, strlen(HEAD), head.len);
	char told[32], real[32];
	if (!number(&head, &version) || version != VERSION || head.len >= sizeof told)
		return false;
	snprintf(told, sizeof told, "%.*s", TM_STR_ARG(head));
	snprintf(real, sizeof real, "%016" PRIx64, tm_xxh64(text.at, text.len, 0));
	if (strcmp(told, real) != 0)
		return false;
	while (tm_str_split(&text, '\n', &line))
		if (line.len && !read_mark(s, line))
			return false;
	return true;
}

tm_rc tm_export_state_open(struct tm_export_state *s, const char *data_dir, const char *kind, struct tm_str target, struct tm_err *err)
{
	char dir[4200];
	memset(s, 0, sizeof *s);
	tm_arena_init(&s->arena);
	snprintf(dir, sizeof dir, "%s/export", data_dir);
	TM_TRY(tm_dir_make(dir, err));
	snprintf(s->path, sizeof s->path, "%s/%s-%016" PRIx64 ".state", dir, kind, tm_xxh64(target.at, target.len, 0));
	struct tm_buf text = {0};
	tm_rc rc = tm_file_read(tm_env_real(), s->path, TM_LIMIT_EXPORT_STATE_BYTES, &text, err);
	if (rc == TM_OK && !read_all(s, tm_buf_str(&text))) {
		tm_say(TM_SAY_WARN, "export", "%s is damaged or of another version: what is at the target is compared from the beginning",
		       s->path);
		s->count = 0;
	}
	tm_buf_done(&text);
	return rc == TM_NOT_FOUND ? TM_OK : rc;
}

void tm_export_state_done(struct tm_export_state *s)
{
	free(s->items);
	if (s->path[0])
		tm_arena_done(&s->arena);
	*s = (struct tm_export_state){0};
}

struct tm_export_mark *tm_export_state_find(struct tm_export_state *s, struct tm_str name)
{
	for (size_t i = 0; i < s->count; i++)
		if (tm_str_eq(s->items[i]->name, name))
			return s->items[i];
	return NULL;
}

struct tm_export_mark *tm_export_state_add(struct tm_export_state *s, struct tm_str name)
{
	struct tm_export_mark *m = tm_export_state_find(s, name);
	if (m)
		return m;
	m = TM_NEW_N(&s->arena, struct tm_export_mark, 1);
	*m = (struct tm_export_mark){.name = tm_arena_str(&s->arena, name)};
	TM_PUSH(s, m);
	return m;
}

tm_rc tm_export_state_save(struct tm_export_state *s, bool force, struct tm_err *err)
{
	int64_t now = tm_mono_ns(tm_env_real());
	if (!force && now - s->saved_ns < 500000000)
		return TM_OK;
	struct tm_buf lines = {0}, file = {0};
	for (size_t i = 0; i < s->count; i++) {
		const struct tm_export_mark *m = s->items[i];
		tm_buf_printf(&lines, "%.*s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %d\n", TM_STR_ARG(m->name),
			      m->first, m->next, m->base, m->count, (int64_t)m->checksum, m->begun);
	}
	tm_buf_printf(&file, HEAD "%d %016" PRIx64 "\n", VERSION, tm_xxh64(lines.at, lines.len, 0));
	tm_buf_str_put(&file, tm_buf_str(&lines));
	tm_rc rc = tm_file_replace(tm_env_real(), s->path, tm_buf_str(&file), err);
	tm_buf_done(&lines);
	tm_buf_done(&file);
	s->saved_ns = now;
	return rc;
}
