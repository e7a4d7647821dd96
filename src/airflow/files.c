/* DAG files: finding them, following their changes (inotify by libuv), and which need to be loaded again. */
#include <dirent.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>
#include "airflow/airflow_int.h"

#define DEPTH_MAX 16
#define SETTLE_MS 50
#define CLOCK_TICK_US 10000 /* a file's time is that of the last tick */

int64_t tm_airflow_stamp(const char *path)
{
	struct stat s;
	if (stat(path, &s) != 0)
		return 0;
	uint64_t h = tm_hash_u64((uint64_t)s.st_mtim.tv_sec * 1000000000u + (uint64_t)s.st_mtim.tv_nsec) ^
		     tm_hash_u64((uint64_t)s.st_size) ^ (uint64_t)s.st_ino;
	return (int64_t)(h >> 1 | 1);
}

int64_t tm_airflow_stamp_before(const char *path, int64_t since_us)
{
	struct stat s;
	int64_t stamp = tm_airflow_stamp(path);
	if (!stamp || stat(path, &s) != 0)
		return 0;
	int64_t changed_us = (int64_t)s.st_mtim.tv_sec * 1000000 + s.st_mtim.tv_nsec / 1000;
	/* A time in the future says nothing. */
	return changed_us >= since_us - CLOCK_TICK_US && changed_us <= tm_now_us(tm_env_real()) ? 0 : stamp;
}

/* Airflow's safe mode: a file that mentions both words may define a DAG. */
static bool mentions_dags(const char *path)
{
	struct tm_buf b = {0};
	struct tm_err err = {0};
	bool dag = false, airflow = false;
	if (tm_file_read(tm_env_real(), path, 8 * TM_MIB, &b, &err) == TM_OK) {
		for (size_t i = 0; i < b.len; i++)
			b.at[i] = b.at[i] >= 'A' && b.at[i] <= 'Z' ? (char)(b.at[i] + 32) : b.at[i];
		dag = tm_str_find(tm_buf_str(&b), TM_STR("dag"), 0) != SIZE_MAX;
		airflow = tm_str_find(tm_buf_str(&b), TM_STR("airflow"), 0) != SIZE_MAX;
	}
	tm_buf_done(&b);
	return dag && airflow;
}

/* .airflowignore: one pattern a line, glob or part of a path. */
static bool ignored(struct tm_str patterns, const char *relative)
{
	struct tm_str rest = patterns, line;
	char pattern[512];
	while (tm_str_split(&rest, '\n', &line)) {
		line = tm_str_trim(line);
		if (!line.len || *line.at == '#' || line.len >= sizeof pattern)
			continue;
		memcpy(pattern, line.at, line.len);
		pattern[line.len] = 0;
		if (pattern[line.len - 1] == '/')
			pattern[line.len - 1] = 0;
		const char *base = strrchr(relative, '/');
		if (fnmatch(pattern, relative, 0) == 0 || fnmatch(pattern, base ? base + 1 : relative, 0) == 0 || strstr(relative, pattern))
			return true;
	}
	return false;
}

static void find_in(const char *root, const char *dir, struct tm_str patterns, int depth, json_t *out, json_t *dirs)
{
	char **names;
	size_t n;
	if (depth > DEPTH_MAX || tm_dir_list(dir, NULL, &names, &n, NULL) != TM_OK)
		return;
	if (dirs)
		json_array_append_new(dirs, json_string(dir));
	for (size_t i = 0; i < n; i++) {
		struct tm_buf b = {0};
		tm_buf_printf(&b, "%s/%s", dir, names[i]);
		const char *path = tm_buf_cstr(&b), *relative = path + strlen(root) + 1;
		struct stat s;
		bool hidden = *names[i] == '.' || !strcmp(names[i], "__pycache__") || !strcmp(names[i], "node_modules");
		if (!hidden && !ignored(patterns, relative) && stat(path, &s) == 0) {
			if (S_ISDIR(s.st_mode))
				find_in(root, path, patterns, depth + 1, out, dirs);
			else if (tm_str_ends(tm_str_of(names[i]), TM_STR(".py")) && mentions_dags(path))
				json_array_append_new(out, json_string(path));
		}
		tm_buf_done(&b);
	}
	tm_dir_list_free(names, n);
}

static json_t *find_all(const char *dags_dir, json_t *dirs)
{
	json_t *out = json_array();
	struct tm_buf path = {0}, patterns = {0};
	struct tm_err err = {0};
	tm_buf_printf(&path, "%s/.airflowignore", dags_dir);
	if (access(tm_buf_cstr(&path), R_OK) == 0 && tm_file_read(tm_env_real(), tm_buf_cstr(&path), TM_MIB, &patterns, &err) != TM_OK)
		tm_say_err("airflow", &err);
	find_in(dags_dir, dags_dir, tm_buf_str(&patterns), 0, out, dirs);
	tm_buf_done(&path);
	tm_buf_done(&patterns);
	return out;
}
json_t *tm_airflow_find(const char *dags_dir) { return find_all(dags_dir, NULL); }

struct dag_file *tm_airflow_file(struct tm_airflow *a, const char *path)
{
	for (size_t i = 0; i < a->files.count; i++)
		if (!strcmp(a->files.items[i]->path, path))
			return a->files.items[i];
	return NULL;
}

static bool modules_changed(const struct dag_file *f)
{
	const char *path;
	json_t *stamp;
	json_object_foreach(f->modules, path, stamp) if (tm_airflow_stamp(path) != json_integer_value(stamp)) return true;
	return false;
}

/* ---- watching ---- */
static void on_settled(uv_timer_t *t) { tm_airflow_scan(t->data); }
void tm_airflow_scan_soon(struct tm_airflow *a)
{
	if (a->watch && a->settle)
		uv_timer_start(a->settle, on_settled, SETTLE_MS, 0);
}
static void on_change(uv_fs_event_t *h, const char *name, int events, int status)
{
	(void)events;
	(void)status;
	struct tm_airflow *a = h->data;
	/* What Python writes itself while it loads is no change. */
	if (name && (strstr(name, "__pycache__") || tm_str_ends(tm_str_of(name), TM_STR(".pyc"))))
		return;
	tm_airflow_scan_soon(a);
}
static void freed(uv_handle_t *h) { free(h); }
void tm_airflow_unwatch(struct tm_airflow *a)
{
	for (size_t i = 0; i < a->watches.count; i++)
		uv_close((uv_handle_t *)a->watches.items[i], freed);
	a->watches.count = 0;
}
static void watch_dirs(struct tm_airflow *a, const json_t *dirs)
{
	size_t i;
	json_t *dir;
	tm_airflow_unwatch(a);
	json_array_foreach(dirs, i, dir)
	{
		uv_fs_event_t *w = tm_zalloc(sizeof *w);
		uv_fs_event_init(a->loop, w);
		w->data = a;
		TM_PUSH(&a->watches, w);
		int rc = uv_fs_event_start(w, on_change, json_string_value(dir), 0);
		if (rc != 0)
			tm_say(TM_SAY_WARN, "airflow", "%s is not watched: %s", json_string_value(dir), uv_strerror(rc));
	}
}

void tm_airflow_scan(struct tm_airflow *a)
{
	if (a->stopping)
		return;
	json_t *dirs = json_array(), *paths = find_all(a->dags_dir, dirs), *path;
	size_t i;
	if (a->watch)
		watch_dirs(a, dirs);
	json_decref(dirs);
	for (i = 0; i < a->files.count; i++)
		a->files.items[i]->seen = false;
	json_array_foreach(paths, i, path)
	{
		struct dag_file *f = tm_airflow_file(a, json_string_value(path));
		if (!f) {
			f = tm_zalloc(sizeof *f);
			f->path = tm_strdup(json_string_value(path));
			TM_PUSH(&a->files, f);
		}
		f->seen = true;
		int64_t stamp = tm_airflow_stamp(f->path);
		if (stamp != f->stamp || modules_changed(f)) {
			f->stamp = stamp;
			tm_airflow_load(a, f);
		}
	}
	json_decref(paths);
	for (i = 0; i < a->files.count;) {
		struct dag_file *f = a->files.items[i];
		if (f->seen) {
			i++;
			continue;
		}
		tm_say(TM_SAY_INFO, "airflow", "%s is gone", f->path);
		if (f->parent)
			tm_airflow_parent_retire(f->parent);
		tm_airflow_file_done(a, f);
		tm_dag_file_forget(a->dag, f->path);
		a->files.items[i] = a->files.items[--a->files.count];
		json_decref(f->modules);
		free(f->path);
		free(f);
	}
}
