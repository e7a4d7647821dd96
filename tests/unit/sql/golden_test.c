/* tests/sql/NAME.sql: every statement's answer is a line of NAME.out, as `tidemill sql --json` prints it. GOLDEN=write in the
 * environment writes the .out files anew; then read the difference. */
#include <sys/resource.h>
#include "unit.h"
#include "base/memory.h"
#include "sql/sql.h"

static bool run_file(const char *name)
{
	const struct tm_env *env = tm_env_real();
	char path[600];
	struct tm_buf text = {0}, want = {0}, got = {0};
	struct tm_err err = {0};
	struct tm_sql_options options = {.time_zone = "UTC"};
	struct tm_sql *sql = tm_sql_new(&options);
	snprintf(path, sizeof path, "%s/tests/sql/%s", TM_SOURCE_DIR, name);
	CHECK_OK(tm_file_read(env, path, 1 << 20, &text, &err), err);
	struct tm_str rest = tm_buf_str(&text), statement;
	while (tm_sql_split(&rest, &statement)) {
		struct tm_err one = {0};
		tm_rc rc = tm_sql_run_json(sql, statement, &got, &one);
		(void)rc;
		tm_buf_char(&got, '\n');
	}
	tm_sql_free(sql);
	memcpy(strrchr(path, '.'), ".out", 5);
	const char *mode = getenv("GOLDEN");
	if (mode && strcmp(mode, "write") == 0)
		CHECK_OK(tm_file_replace(env, path, tm_buf_str(&got), &err), err);
	CHECK_OK(tm_file_read(env, path, 1 << 20, &want, &err), err);
	bool same = tm_str_eq(tm_buf_str(&got), tm_buf_str(&want));
	struct tm_str g = tm_buf_str(&got), w = tm_buf_str(&want), gl, wl;
	for (int line = 1; !same && tm_str_split(&g, '\n', &gl) && tm_str_split(&w, '\n', &wl); line++)
		if (!tm_str_eq(gl, wl)) {
			fprintf(stderr, "%s: answer %d\n  is   %.*s\n  not  %.*s\n", name, line, TM_STR_ARG(gl), TM_STR_ARG(wl));
			break;
		}
	tm_buf_done(&text);
	tm_buf_done(&want);
	tm_buf_done(&got);
	return same;
}

TEST(golden_files)
{
	char **names, dir[512];
	size_t count, wrong = 0;
	struct tm_err err = {0};
	snprintf(dir, sizeof dir, "%s/tests/sql", TM_SOURCE_DIR);
	CHECK_OK(tm_dir_list(dir, ".sql", &names, &count, &err), err);
	CHECK(count >= 5);
	for (size_t i = 0; i < count; i++)
		wrong += !run_file(names[i]);
	tm_dir_list_free(names, count);
	CHECK_INT(wrong, 0);
}

TEST(an_answer_has_a_limit_where_one_is_set)
{
	struct tm_sql_options options = {.time_zone = "UTC", .max_answer_bytes = 10000};
	struct tm_sql *sql = tm_sql_new(&options);
	struct tm_buf out = {0};
	struct tm_err err = {0};
	CHECK_OK(tm_sql_run_json(sql, TM_STR("SELECT id FROM range(100)"), &out, &err), err);
	size_t before = out.len;
	CHECK_INT(tm_sql_run_json(sql, TM_STR("SELECT id FROM range(1000000000000)"), &out, &err), TM_LIMIT);
	CHECK(tm_str_starts(tm_str_slice(tm_buf_str(&out), before, out.len), TM_STR("{\"error\": {\"class\": \"RESULT_TOO_LARGE\"")));
	CHECK(out.len - before < 1000);
	CHECK_OK(tm_sql_run_json(sql, TM_STR("SELECT count(*) FROM range(1000)"), &out, &err), err); /* each answer has its own */
	tm_buf_done(&out);
	tm_sql_free(sql);
}

/* What has to hold all rows ends before it takes the memory of everything else in the process; what need not goes on. */
TEST(a_query_leaves_memory_to_others)
{
	static const char *const forms[] = {"SELECT id FROM range(100000000) ORDER BY id % 1000, id",
					    "SELECT collect_list(id) FROM range(100000000)",
					    "SELECT count(DISTINCT id) FROM range(100000000)",
					    "SELECT count(*) FROM range(100000000) a JOIN range(100000000) b ON a.id = b.id",
					    "SELECT sum(x) FROM (SELECT id, sum(id) OVER (ORDER BY id) AS x FROM range(100000000))"};
	struct tm_sql_options options = {.time_zone = "UTC"};
	struct tm_sql *sql = tm_sql_new(&options);
	struct tm_buf out = {0};
	struct tm_err err = {0};
	tm_memory_limit_set((tm_memory_used() + 64 * TM_MIB) / 3 * 4);
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		out.len = 0;
		CHECK_INT(tm_sql_run_json(sql, tm_str_of(forms[i]), &out, &err), TM_LIMIT);
		CHECK(tm_str_find(tm_buf_str(&out), TM_STR("UNABLE_TO_ACQUIRE_MEMORY"), 0) != SIZE_MAX);
	}
	static const char *const goes[] = {"SELECT sum(id), count(*) FROM range(10000000)",
					   "SELECT sum(x) FROM (SELECT explode(sequence(1, 100000)) AS x FROM range(400))"};
	struct rusage before, after;
	getrusage(RUSAGE_SELF, &before);
	for (size_t i = 0; i < sizeof goes / sizeof *goes; i++) {
		tm_memory_limit_set((tm_memory_used() + 64 * TM_MIB) / 3 * 4); /* what was freed need not be the system's again */
		out.len = 0;
		CHECK_OK(tm_sql_run_json(sql, tm_str_of(goes[i]), &out, &err), err);
	}
	getrusage(RUSAGE_SELF, &after);
	CHECK(after.ru_maxrss - before.ru_maxrss < 400 * 1024); /* KiB; 40 M rows at once were 800 MiB */
	tm_memory_limit_set(0);
	tm_buf_done(&out);
	tm_sql_free(sql);
}
TEST_MAIN()
