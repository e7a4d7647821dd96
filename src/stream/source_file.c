/* Formats json (an object per line), csv and text: files of a folder or a glob. As a stream, every file is read once; the
 * offset is the list of files that were read, one per line, in the order they were taken. Files must be complete when they
 * appear (write beside and rename). */
#include "stream/provider.h"
#include "column/json.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILE_BYTES_MAX = 1 << 30, CSV_FIELDS_MAX = 2000 };
enum kind { JSON, CSV, TEXT };

struct file {
	struct tm_source s;
	enum kind kind;
	bool header, multi_line;
	char separator;
	int64_t max_files;
	struct tm_arena arena; /* of the range: names */
	struct tm_str *files;
	size_t file_count, file;
	struct tm_buf bytes; /* the file at hand */
	struct tm_str rest;
	const struct tm_type *struct_type;
	struct tm_json_decoder *decoder;
	struct tm_arena plan_arena;
	bool first_line;
};

static enum kind kind_of(struct tm_str format) { return tm_str_iis(format, "csv") ? CSV : tm_str_iis(format, "text") ? TEXT : JSON; }

/* Absolute, or below the project's folder; a folder means all its files. */
static void pattern_of(const struct tm_stream_world *world, struct tm_str path, char *out, size_t size)
{
	if (tm_str_starts(path, TM_STR("file://")))
		path = tm_str_slice(path, 7, path.len);
	if (path.len && path.at[0] == '/')
		snprintf(out, size, "%.*s", TM_STR_ARG(path));
	else
		snprintf(out, size, "%s%s%.*s", world->project_dir ? world->project_dir : "", world->project_dir ? "/" : "",
			 TM_STR_ARG(path));
	struct stat st;
	size_t n = strlen(out);
	if (stat(out, &st) == 0 && S_ISDIR(st.st_mode) && n + 3 < size)
		memcpy(out + n, out[n - 1] == '/' ? "*" : "/*", out[n - 1] == '/' ? 2 : 3);
}

struct found {
	char *path;
	struct timespec changed;
};

static int by_age(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	if (x->changed.tv_sec != y->changed.tv_sec)
		return x->changed.tv_sec < y->changed.tv_sec ? -1 : 1;
	if (x->changed.tv_nsec != y->changed.tv_nsec)
		return x->changed.tv_nsec < y->changed.tv_nsec ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* Files there are, oldest first; hidden ones and those that begin with _ are left out, as in Spark. */
static size_t list_files(const struct tm_source *s, struct tm_arena *arena, struct tm_str **ret)
{
	const struct tm_str *path = tm_option_get(s->relation->options, s->relation->option_count, "path");
	char pattern[4096];
	pattern_of(s->world, *path, pattern, sizeof pattern);
	glob_t g;
	*ret = NULL;
	if (glob(pattern, 0, NULL, &g) != 0)
		return 0;
	struct found *list = tm_alloc(tm_mul_size(g.gl_pathc + 1, sizeof *list));
	size_t n = 0;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct stat st;
		const char *name = strrchr(g.gl_pathv[i], '/');
		name = name ? name + 1 : g.gl_pathv[i];
		if (*name != '.' && *name != '_' && stat(g.gl_pathv[i], &st) == 0 && S_ISREG(st.st_mode) && !strchr(g.gl_pathv[i], '\n'))
			list[n++] = (struct found){g.gl_pathv[i], st.st_mtim};
	}
	qsort(list, n, sizeof *list, by_age);
	*ret = TM_NEW_N(arena, struct tm_str, n + 1);
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = tm_arena_str(arena, tm_str_of(list[i].path));
	free(list);
	globfree(&g);
	return n;
}

/* ---- describe ---- */

static bool next_line(struct tm_str *rest, struct tm_str *ret)
{
	if (!rest->len)
		return false;
	const char *nl = memchr(rest->at, '\n', rest->len);
	size_t n = nl ? (size_t)(nl - rest->at) : rest->len;
	*ret = tm_str_n(rest->at, n && rest->at[n - 1] == '\r' ? n - 1 : n);
	*rest = tm_str_slice(*rest, nl ? n + 1 : n, rest->len);
	return true;
}

/* Fields of a CSV line, quotes undone, in arena. */
static size_t csv_fields(struct tm_arena *arena, struct tm_str line, char separator, struct tm_str *fields, size_t most)
{
	size_t n = 0, i = 0;
	for (;;) {
		if (n == most)
			return n;
		if (i < line.len && line.at[i] == '"') {
			char *text = tm_arena_alloc(arena, line.len - i + 1);
			size_t len = 0;
			for (i++; i < line.len; i++) {
				if (line.at[i] == '\\' && i + 1 < line.len)
					text[len++] = line.at[++i];
				else if (line.at[i] == '"' && i + 1 < line.len && line.at[i + 1] == '"')
					text[len++] = line.at[++i];
				else if (line.at[i] == '"')
					break;
				else
					text[len++] = line.at[i];
			}
			fields[n++] = tm_str_n(text, len);
			while (i < line.len && line.at[i] != separator)
				i++;
		} else {
			size_t from = i;
			while (i < line.len && line.at[i] != separator)
				i++;
			fields[n++] = i > from ? tm_str_n(line.at + from, i - from) : (struct tm_str){NULL, 0};
		}
		if (i >= line.len)
			return n;
		i++;
	}
}

static tm_rc csv_schema(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err)
{
	struct tm_source probe = {.world = world, .relation = relation};
	struct tm_str *files, line, *names = TM_NEW_N(arena, struct tm_str, CSV_FIELDS_MAX);
	bool header;
	TM_TRY(tm_option_bool(relation->options, relation->option_count, "header", false, &header, err));
	struct tm_buf bytes = {0};
	size_t n = 0;
	if (list_files(&probe, arena, &files)) {
		TM_TRY(tm_file_read(world->env ? world->env : tm_env_real(), files[0].at, FILE_BYTES_MAX, &bytes, err));
		struct tm_str rest = tm_buf_str(&bytes);
		if (next_line(&rest, &line))
			n = csv_fields(arena, line, ',', names, CSV_FIELDS_MAX);
	}
	struct tm_field *f = TM_NEW_N(arena, struct tm_field, n + 1);
	for (size_t i = 0; i < n; i++)
		f[i] =
		    (struct tm_field){header ? tm_arena_str(arena, names[i]) : tm_arena_printf(arena, "_c%zu", i), &tm_type_string, true};
	relation->schema = (struct tm_schema){n, f};
	tm_buf_done(&bytes);
	return n ? TM_OK
		 : tm_fail(err, TM_NOT_FOUND, "'%.*s': there is no file to take the columns from; give the option schema",
			   TM_STR_ARG(relation->name));
}

static tm_rc file_describe(const struct tm_stream_world *world, struct tm_relation *relation, struct tm_arena *arena, struct tm_err *err)
{
	if (!tm_option_get(relation->options, relation->option_count, "path"))
		return tm_fail(err, TM_INVALID, "'%.*s': files need the option path", TM_STR_ARG(relation->name));
	if (kind_of(relation->format) == TEXT) {
		struct tm_field *f = TM_NEW(arena, struct tm_field);
		*f = (struct tm_field){TM_STR("value"), &tm_type_string, true};
		relation->schema = (struct tm_schema){1, f};
		return TM_OK;
	}
	if (relation->schema.count)
		return TM_OK;
	if (kind_of(relation->format) == CSV && !relation->streaming)
		return csv_schema(world, relation, arena, err);
	tm_rc rc = tm_fail(err, TM_INVALID, "'%.*s': schema must be specified for files of format %.*s", TM_STR_ARG(relation->name),
			   TM_STR_ARG(relation->format));
	tm_err_hint(err, "OPTIONS (path '…', schema 'id STRING, mag DOUBLE')");
	return rc;
}

/* ---- reading ---- */

static tm_rc file_open(struct tm_source *s, struct tm_err *err)
{
	struct file *me = (struct file *)s;
	const struct tm_relation *r = s->relation;
	tm_arena_init(&me->arena);
	tm_arena_init(&me->plan_arena);
	me->kind = kind_of(r->format);
	TM_TRY(tm_option_i64(r->options, r->option_count, "maxFilesPerTrigger", 0, &me->max_files, err));
	TM_TRY(tm_option_bool(r->options, r->option_count, "header", false, &me->header, err));
	const struct tm_str *sep = tm_option_get(r->options, r->option_count, "sep");
	sep = sep ? sep : tm_option_get(r->options, r->option_count, "delimiter");
	me->separator = sep && sep->len ? (sep->len == 2 && sep->at[0] == '\\' && sep->at[1] == 't' ? '\t' : sep->at[0]) : ',';
	if (me->kind == TEXT)
		return TM_OK;
	struct tm_str *names = TM_NEW_N(&me->plan_arena, struct tm_str, s->column_count + 1);
	const struct tm_type **types = TM_NEW_N(&me->plan_arena, const struct tm_type *, s->column_count + 1);
	for (size_t i = 0; i < s->column_count; i++) {
		names[i] = r->schema.fields[s->columns[i]].name;
		types[i] = r->schema.fields[s->columns[i]].type;
	}
	me->struct_type = tm_type_struct(&me->plan_arena, s->column_count, names, types, NULL);
	struct tm_json_options options = {0};
	me->decoder = tm_json_decoder_new(&me->plan_arena, me->struct_type, &options);
	return TM_OK;
}

static void file_close(struct tm_source *s)
{
	struct file *me = (struct file *)s;
	tm_arena_done(&me->arena);
	tm_arena_done(&me->plan_arena);
	tm_buf_done(&me->bytes);
}

static tm_rc file_initial(struct tm_source *s, struct tm_buf *ret, struct tm_err *err)
{
	(void)s;
	(void)err;
	tm_buf_char(ret, '\n'); /* not empty: a list of no files */
	return TM_OK;
}

static bool listed(struct tm_str list, struct tm_str path)
{
	struct tm_str part;
	while (tm_str_split(&list, '\n', &part))
		if (tm_str_eq(part, path))
			return true;
	return false;
}

static tm_rc file_latest(struct tm_source *s, struct tm_str from, struct tm_buf *ret_to, bool *ret_new, struct tm_err *err)
{
	(void)err;
	struct file *me = (struct file *)s;
	tm_arena_reset(&me->arena);
	struct tm_str *files;
	size_t n = list_files(s, &me->arena, &files), taken = 0;
	tm_buf_str_put(ret_to, from);
	for (size_t i = 0; i < n && !(me->max_files && taken == (size_t)me->max_files); i++) {
		if (listed(from, files[i]))
			continue;
		tm_buf_str_put(ret_to, files[i]);
		tm_buf_char(ret_to, '\n');
		taken++;
	}
	*ret_new = taken > 0;
	return TM_OK;
}

static tm_rc file_range(struct tm_source *s, struct tm_str from, struct tm_str to, struct tm_err *err)
{
	(void)err;
	struct file *me = (struct file *)s;
	tm_arena_reset(&me->arena);
	me->file = 0;
	me->rest = (struct tm_str){0};
	if (!s->relation->streaming) {
		me->file_count = list_files(s, &me->arena, &me->files);
		return me->file_count ? TM_OK
				      : tm_fail_class(err, TM_NOT_FOUND, "PATH_NOT_FOUND", "42K03", "Path does not exist: %.*s.",
						      TM_STR_ARG(*tm_option_get(s->relation->options, s->relation->option_count, "path")));
	}
	struct {
		struct tm_str *items;
		size_t count, cap;
	} list = {0};
	struct tm_str rest = tm_arena_str(&me->arena, tm_str_slice(to, from.len <= to.len ? from.len : 0, to.len)), part;
	while (tm_str_split(&rest, '\n', &part))
		if (part.len)
			TM_PUSH_IN(&me->arena, &list, tm_arena_str(&me->arena, part));
	me->files = list.items;
	me->file_count = list.count;
	return TM_OK;
}

/* A CSV line as the JSON object that decodes to the same row: numbers and booleans bare, everything else in quotes. */
static struct tm_str csv_as_json(struct file *me, struct tm_arena *arena, struct tm_str line)
{
	const struct tm_relation *r = me->s.relation;
	struct tm_str *fields = TM_NEW_N(arena, struct tm_str, r->schema.count + 1);
	size_t n = csv_fields(arena, line, me->separator, fields, r->schema.count);
	struct tm_buf b = {0};
	tm_buf_char(&b, '{');
	for (size_t i = 0; i < me->s.column_count; i++) {
		size_t c = me->s.columns[i];
		struct tm_str text = c < n ? fields[c] : (struct tm_str){NULL, 0};
		if (i)
			tm_buf_char(&b, ',');
		tm_buf_json_str(&b, r->schema.fields[c].name);
		tm_buf_char(&b, ':');
		enum tm_type_kind k = r->schema.fields[c].type->kind;
		struct tm_str bare = tm_str_trim(text);
		if (!text.at)
			tm_buf_cstr_put(&b, "null");
		else if ((tm_type_numeric(r->schema.fields[c].type) || k == TM_T_BOOLEAN) && tm_json_valid(bare))
			tm_buf_str_put(&b, bare);
		else
			tm_buf_json_str(&b, text);
	}
	tm_buf_char(&b, '}');
	struct tm_str ret = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return ret;
}

static tm_rc file_next(struct tm_source *s, struct tm_arena *arena, struct tm_flow *ret, bool *ret_some, struct tm_err *err)
{
	struct file *me = (struct file *)s;
	struct tm_column texts;
	tm_column_init(&texts, arena, &tm_type_string, TM_LIMIT_BATCH_ROWS);
	*ret_some = false;
	size_t n = 0;
	while (!n) {
		while (!me->rest.len) {
			if (me->file == me->file_count)
				return TM_OK;
			me->bytes.len = 0;
			TM_TRY(tm_file_read(s->world->env ? s->world->env : tm_env_real(), me->files[me->file].at, FILE_BYTES_MAX,
					    &me->bytes, err));
			me->file++;
			me->rest = tm_buf_str(&me->bytes);
			me->first_line = true;
		}
		struct tm_str line;
		while (n < TM_LIMIT_BATCH_ROWS && next_line(&me->rest, &line)) {
			bool head = me->first_line && me->kind == CSV && me->header;
			me->first_line = false;
			if (head || (me->kind != TEXT && !tm_str_trim(line).len))
				continue;
			texts.str[n++] = me->kind == CSV ? csv_as_json(me, arena, line) : line;
		}
	}
	texts.rows = n;
	struct tm_column *columns = TM_NEW_N(arena, struct tm_column, s->column_count + 1);
	if (me->kind == TEXT) {
		for (size_t i = 0; i < s->column_count; i++)
			columns[i] = texts;
	} else {
		struct tm_column decoded;
		TM_TRY(tm_json_decode(me->decoder, arena, &texts, &decoded, NULL, err));
		for (size_t i = 0; i < s->column_count; i++)
			columns[i] = decoded.children[i];
	}
	ret->batch = (struct tm_batch){.rows = n, .column_count = s->column_count, .columns = columns};
	*ret_some = true;
	return TM_OK;
}

static const char *const formats[] = {"json", "csv", "text", NULL};
const struct tm_source_class tm_source_file = {.formats = formats,
					       .size = sizeof(struct file),
					       .describe = file_describe,
					       .open = file_open,
					       .close = file_close,
					       .initial = file_initial,
					       .latest = file_latest,
					       .range = file_range,
					       .next = file_next};
