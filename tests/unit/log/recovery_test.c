/* What is on disk after a crash, a torn write, a flipped bit. A child process that leaves without closing stands for kill -9;
 * files are then changed byte by byte. */
#include <fcntl.h>
#include <sys/wait.h>
#include "log_tools.h"

/* Runs work in a process that never closes the log. */
static void in_crashing_child(const char *dir, void (*work)(struct tm_log *log))
{
	fflush(NULL);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		work(open_log(dir, NULL));
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static struct tm_buf slurp(const char *path)
{
	struct tm_buf b = {0};
	struct tm_err err = {0};
	CHECK_OK(tm_file_read(tm_env_real(), path, 64 * TM_MIB, &b, &err), err);
	return b;
}

static void spew(const char *path, const char *at, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	CHECK(fd >= 0 && write(fd, at, len) == (ssize_t)len);
	close(fd);
}

static size_t findings_of(struct tm_log *log)
{
	const char **list;
	size_t n = tm_log_findings(log, &list);
	free(list);
	return n;
}

struct path {
	char text[256];
};
static struct path path_in(const char *dir, const char *name)
{
	struct path p;
	snprintf(p.text, sizeof p.text, "%s/%s", dir, name);
	return p;
}
#define file_in(dir, name) (path_in((dir), (name)).text)

static void hundred(struct tm_log *log)
{
	struct tm_topic *t = make_topic(log, "t", 1, NULL, NULL);
	for (int i = 0; i < 10; i++)
		CHECK_INT(append_n(log, t, i * 10, 10), 0);
}

static int64_t end_of(struct tm_topic *t)
{
	struct tm_log_offsets o;
	struct tm_err err = {0};
	CHECK_OK(tm_log_offsets(t, 0, &o, &err), err);
	CHECK_INT(o.end, o.high_watermark);
	return o.end;
}

/* The log of `hundred` as a crash left it. */
#define HUNDRED "t-0/00000000000000000000.log"
struct crashed {
	char *dir;
	struct tm_buf whole, mark;
};
static struct crashed crashed_log(void)
{
	char *dir = fresh_dir();
	in_crashing_child(dir, hundred);
	return (struct crashed){dir, slurp(file_in(dir, HUNDRED)), slurp(file_in(dir, "marks"))};
}

/* The same with other bytes in the log's file. */
static void put_back(const struct crashed *c, const char *at, size_t len)
{
	spew(file_in(c->dir, HUNDRED), at, len);
	spew(file_in(c->dir, "marks"), c->mark.at, c->mark.len);
	unlink(file_in(c->dir, "clean-stop"));
}

static void crashed_done(struct crashed *c)
{
	tm_buf_done(&c->whole);
	tm_buf_done(&c->mark);
	remove_dir(c->dir);
}

/* A batch that a crash caught half written: whatever part of it is there, nothing acknowledged is touched. */
TEST(torn_tail_at_every_byte)
{
	struct crashed c = crashed_log();
	struct tm_buf tail = batch_of(100, 3, (struct batch_of){0});
	tail.at[7] = 100; /* its base offset */
	for (size_t n = 0; n <= tail.len; n++) {
		struct tm_buf file = {0};
		tm_buf_str_put(&file, tm_buf_str(&c.whole));
		tm_buf_put(&file, tail.at, n);
		put_back(&c, file.at, file.len);
		struct tm_log *log = open_log(c.dir, NULL);
		struct tm_topic *t = tm_log_topic_find(log, TM_STR("t"));
		CHECK_INT(findings_of(log), 0);
		CHECK_INT(end_of(t), n == tail.len ? 103 : 100);
		CHECK_INT(read_all(t, 0, 0, 1 << 20, false, true), n == tail.len ? 103 : 100);
		CHECK_INT(append_n(log, t, (int)end_of(t), 1), 0);
		CHECK_INT(read_all(t, 0, 95, 1 << 20, false, true), n == tail.len ? 9 : 6);
		close_log(log, t);
		tm_buf_done(&file);
	}
	tm_buf_done(&tail);
	crashed_done(&c);
}

/* A file shorter than what was acknowledged: told, what is left is readable, no lost offset is given again. */
TEST(acknowledged_bytes_missing)
{
	struct crashed c = crashed_log();
	for (size_t n = 0; n < c.whole.len; n += 23) {
		for (int clean = 0; clean < 2; clean++) {
			put_back(&c, c.whole.at, n);
			if (clean) {
				char text[128];
				snprintf(text, sizeof text, "tidemill-clean-stop 1\n");
				snprintf(text + strlen(text), 64, "crc32c %08x\n", tm_crc32c(0, text, strlen(text)));
				spew(file_in(c.dir, "clean-stop"), text, strlen(text));
			}
			struct tm_log *log = open_log(c.dir, NULL);
			struct tm_topic *t = tm_log_topic_find(log, TM_STR("t"));
			CHECK(findings_of(log) >= 1);
			CHECK_INT(end_of(t), 100);
			int left = read_all(t, 0, 0, 1 << 20, false, false);
			CHECK(left % 10 == 0 && left < 100);
			CHECK_INT(append_n(log, t, 100, 5), 0);
			CHECK_INT(read_all(t, 0, 0, 1 << 20, false, false), left + 5);
			CHECK_INT(read_all(t, 0, 100, 1 << 20, false, true), 5);
			close_log(log, t);
			log = open_log(c.dir, NULL);
			t = tm_log_topic_find(log, TM_STR("t"));
			CHECK_INT(findings_of(log), 0);
			CHECK_INT(read_all(t, 0, 0, 1 << 20, false, false), left + 5);
			close_log(log, t);
		}
	}
	crashed_done(&c);
}

/* Any flipped bit of a log that was acknowledged: readers get an error there, never wrong records; nothing is cut. */
TEST(rot_in_the_log)
{
	struct crashed c = crashed_log();
	for (size_t bit = 0; bit < c.whole.len * 8; bit += 131) {
		struct tm_err err = {0};
		size_t within = bit / 8; /* the byte of its batch, and the batch's first offset */
		int64_t bad = 0;
		struct tm_str batches = tm_buf_str(&c.whole);
		struct tm_batch_info in;
		while (tm_batch_next(&batches, false, &in, &err) == TM_OK && within >= in.bytes) {
			within -= in.bytes;
			bad = in.base_offset + 10;
		}
		if (within >= 12 && within < 16)
			continue; /* the leader epoch is not under the checksum, as in Kafka, and means nothing here */
		c.whole.at[bit / 8] ^= (char)(1 << bit % 8);
		put_back(&c, c.whole.at, c.whole.len);
		c.whole.at[bit / 8] ^= (char)(1 << bit % 8);
		unlink(file_in(c.dir, "t-0/00000000000000000000.index"));
		unlink(file_in(c.dir, "t-0/00000000000000000100.log")); /* a flipped timestamp may have made the last round roll */
		struct tm_log *log = open_log(c.dir, NULL);
		struct tm_topic *t = tm_log_topic_find(log, TM_STR("t"));
		CHECK_INT(end_of(t), 100);
		struct tm_arena arena;
		tm_arena_init(&arena);
		/* Up to the damage all is there; at it the read says so. */
		for (int64_t at = 0; at < 100; at += 10) {
			struct tm_buf out = {0};
			struct tm_log_read r = {.offset = at, .max_bytes = 1, .at_least_one = true};
			tm_rc rc = tm_log_read(t, 0, &r, &arena, &out, &err);
			if (at < bad)
				CHECK_OK(rc, err);
			if (at == bad && rc == TM_OK) { /* a wrong base offset or length may hide the batch, never change a record */
				struct tm_str rest = tm_buf_str(&out);
				struct tm_batch_info b;
				while (tm_batch_next(&rest, true, &b, &err) == TM_OK)
					CHECK(b.base_offset != bad || within < 12);
			}
			tm_buf_done(&out);
		}
		tm_log_verify(log);
		CHECK(findings_of(log) >= 1);
		CHECK_INT(append_n(log, t, 100, 1), 0);
		CHECK_INT(read_all(t, 0, 100, 1 << 20, false, true), 1);
		tm_arena_done(&arena);
		close_log(log, t);
	}
	crashed_done(&c);
}

static void many(struct tm_log *log)
{
	struct tm_topic *t = make_topic(log, "t", 1, "index.interval.bytes", "300");
	struct tm_err err = {0};
	int64_t id;
	for (int i = 0; i < 200; i++)
		CHECK_INT(append_n(log, t, i * 10, 10), 0);
	struct tm_buf b = batch_of(2000, 3, (struct batch_of){.producer_id = 5});
	CHECK_INT(append(log, t, 0, &b, NULL), 0);
	CHECK_OK(tm_log_producer_id(log, &id, &err), err);
}

static void reopen_and_close(const char *dir)
{
	struct tm_log *log = open_log(dir, NULL);
	tm_log_close(log);
}

static void check_many(struct tm_log *log)
{
	struct tm_topic *t = tm_log_topic_find(log, TM_STR("t"));
	struct tm_err err = {0};
	int64_t offset, ts;
	CHECK_INT(end_of(t), 2003);
	for (int64_t at = 0; at < 2003; at += 31)
		CHECK(read_all(t, 0, at, 1 << 20, false, true) == 2003 - at);
	for (int64_t at = 0; at < 2003; at += 17) {
		CHECK_OK(tm_log_offset_for_time(t, 0, 1700000000000 + at, &offset, &ts, &err), err);
		CHECK_INT(offset, at);
	}
	struct tm_buf b = batch_of(2000, 3, (struct batch_of){.producer_id = 5});
	CHECK_INT(append(log, t, 0, &b, &offset), 0);
	CHECK_INT(offset, 2000);
	tm_topic_unref(t);
}

/* Flips bits of one file of a cleanly stopped log; every answer stays right, and each flip that matters is told. */
static void flip_in(const char *dir, const char *name, size_t step, bool always_told)
{
	struct path file = path_in(dir, name), clean_file = path_in(dir, "clean-stop"), marks_file = path_in(dir, "marks");
	const char *path = file.text, *clean = clean_file.text, *marks = marks_file.text;
	struct tm_buf good = slurp(path), stop = slurp(clean);
	struct tm_buf mark = slurp(marks);
	int told = 0, flips = 0;
	for (size_t bit = 0; bit < good.len * 8; bit += step) {
		struct tm_buf bad = {0};
		tm_buf_str_put(&bad, tm_buf_str(&good));
		bad.at[bit / 8] ^= (char)(1 << bit % 8);
		spew(clean, stop.at, stop.len);
		spew(marks, mark.at, mark.len);
		spew(path, bad.at, bad.len);
		struct tm_log *log = open_log(dir, NULL);
		check_many(log);
		told += findings_of(log) > 0;
		flips++;
		tm_log_close(log);
		tm_buf_done(&bad);
	}
	spew(path, good.at, good.len);
	tm_buf_done(&good);
	tm_buf_done(&stop);
	tm_buf_done(&mark);
	if (always_told && told != flips)
		FAIL("%s: %d of %d flipped bits were told", name, told, flips);
	printf("%s: %d flips, all answers right, %d told\n", name, flips, told);
}

TEST(rot_in_the_other_files)
{
	char *dir = fresh_dir();
	struct tm_err err = {0};
	in_crashing_child(dir, many);
	reopen_and_close(dir);
	reopen_and_close(dir);
	flip_in(dir, "t-0/00000000000000000000.index", 173, true);
	flip_in(dir, "t-0/00000000000000000000.timeindex", 67, true);
	flip_in(dir, "t-0/00000000000000002003.producers", 19, true);
	flip_in(dir, "clean-stop", 11, false);
	flip_in(dir, "marks", 29, true);
	flip_in(dir, "producer-ids", 23, true);
	/* The catalogue: without it nothing can be served, so the log refuses to open and changes nothing. */
	struct path topics_file = path_in(dir, "topics");
	const char *topics = topics_file.text;
	struct tm_buf good = slurp(topics);
	for (size_t bit = 0; bit < good.len * 8; bit += 29) {
		struct tm_log *log = NULL;
		good.at[bit / 8] ^= (char)(1 << bit % 8);
		spew(topics, good.at, good.len);
		good.at[bit / 8] ^= (char)(1 << bit % 8);
		CHECK_INT(tm_log_open(dir, NULL, &log, &err), TM_CORRUPT);
	}
	spew(topics, good.at, good.len);
	tm_buf_done(&good);
	struct tm_log *log = open_log(dir, NULL);
	check_many(log);
	tm_log_close(log);
	remove_dir(dir);
}

/* The indexes gone, the marks gone, a whole folder gone. */
TEST(missing_files)
{
	char *dir = fresh_dir();
	in_crashing_child(dir, many);
	unlink(file_in(dir, "t-0/00000000000000000000.index"));
	unlink(file_in(dir, "t-0/00000000000000000000.timeindex"));
	struct tm_log *log = open_log(dir, NULL);
	check_many(log);
	tm_log_close(log);
	unlink(file_in(dir, "marks"));
	log = open_log(dir, NULL);
	check_many(log);
	tm_log_close(log);
	struct path folder = path_in(dir, "t-0");
	remove_dir(folder.text);
	log = open_log(dir, NULL);
	CHECK(findings_of(log) >= 1);
	struct tm_topic *t = tm_log_topic_find(log, TM_STR("t"));
	CHECK_INT(end_of(t), 2003);
	CHECK_INT(append_n(log, t, 2003, 1), 0);
	CHECK_INT(end_of(t), 2004);
	close_log(log, t);
	remove_dir(dir);
}

/* Producers and transactions as they were, after a crash instead of a close. */
static void producers(struct tm_log *log)
{
	struct tm_topic *t = make_topic(log, "t", 1, NULL, NULL);
	for (int i = 0; i < 7; i++) {
		struct tm_buf b = batch_of(i, 1, (struct batch_of){.producer_id = 9, .sequence = i});
		CHECK_INT(append(log, t, 0, &b, NULL), 0);
	}
	struct tm_buf b = batch_of(7, 2, (struct batch_of){.producer_id = 10, .transactional = true});
	CHECK_INT(append(log, t, 0, &b, NULL), 0);
}

TEST(producers_after_a_crash)
{
	char *dir = fresh_dir();
	in_crashing_child(dir, producers);
	struct tm_log *log = open_log(dir, NULL);
	struct tm_topic *t = tm_log_topic_find(log, TM_STR("t"));
	struct tm_log_offsets o;
	struct tm_err err = {0};
	CHECK_OK(tm_log_offsets(t, 0, &o, &err), err);
	CHECK_INT(o.last_stable, 7);
	for (int i = 0; i < 9; i++) {
		int64_t offset;
		struct tm_buf b = batch_of(i, 1, (struct batch_of){.producer_id = 9, .sequence = i});
		CHECK_INT(append(log, t, 0, &b, &offset), i < 2 ? 45 : 0);
		CHECK_INT(offset, i < 2 ? -1 : i < 7 ? i : i + 2);
	}
	close_log(log, t);
	remove_dir(dir);
}
int main(int argc, char **argv)
{
	tm_say_level_set(TM_SAY_ERROR + (getenv("LOUD") == NULL));
	return unit_main(argc, argv);
}
