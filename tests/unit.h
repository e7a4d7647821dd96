/* The harness of the unit tests: TEST(name) { CHECK(…); } … TEST_MAIN(). A failed check says where and what and goes on
 * with the next test; the program ends with 1. `program name` runs one test. */
#ifndef TM_TESTS_UNIT_H
#define TM_TESTS_UNIT_H
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/base.h"

struct unit_test {
	const char *name;
	void (*run)(void);
	struct unit_test *next;
};
static struct unit_test *unit_tests, **unit_tests_end = &unit_tests;
static jmp_buf unit_failed;

#define TEST(n)                                                                                                                            \
	static void test_##n(void);                                                                                                        \
	__attribute__((constructor)) static void enlist_##n(void)                                                                          \
	{                                                                                                                                  \
		static struct unit_test t = {#n, test_##n, NULL};                                                                          \
		*unit_tests_end = &t;                                                                                                      \
		unit_tests_end = &t.next;                                                                                                  \
	}                                                                                                                                  \
	static void test_##n(void)

#define FAIL(...)                                                                                                                          \
	do {                                                                                                                               \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                                                            \
		fprintf(stderr, __VA_ARGS__);                                                                                              \
		fprintf(stderr, "\n");                                                                                                     \
		longjmp(unit_failed, 1);                                                                                                   \
	} while (0)
#define CHECK(cond) ((cond) ? (void)0 : unit_fail(__FILE__, __LINE__, #cond))
#define CHECK_INT(got, want)                                                                                                               \
	do {                                                                                                                               \
		long long got_ = (long long)(got), want_ = (long long)(want);                                                              \
		if (got_ != want_)                                                                                                         \
			FAIL("%s is %lld, not %lld", #got, got_, want_);                                                                   \
	} while (0)
#define CHECK_STR(got, want)                                                                                                               \
	do {                                                                                                                               \
		struct tm_str got_ = (got), want_ = tm_str_of(want);                                                                       \
		if (!tm_str_eq(got_, want_))                                                                                               \
			FAIL("%s is \"%.*s\", not \"%.*s\"", #got, TM_STR_ARG(got_), TM_STR_ARG(want_));                                   \
	} while (0)
/* An operation that must succeed; prints the error where it does not. */
#define CHECK_OK(expr, err)                                                                                                                \
	do {                                                                                                                               \
		tm_rc rc_ = (expr);                                                                                                        \
		if (rc_ != TM_OK) {                                                                                                        \
			char text_[1600];                                                                                                  \
			FAIL("%s: %s", #expr, tm_err_render(&(err), (struct tm_str){0}, text_, sizeof text_));                             \
		}                                                                                                                          \
	} while (0)

__attribute__((unused, noreturn)) static void unit_fail(const char *file, int line, const char *cond)
{
	fprintf(stderr, "%s:%d: not true: %s\n", file, line, cond);
	longjmp(unit_failed, 1);
}

__attribute__((unused)) static int unit_main(int argc, char **argv)
{
	volatile int passed = 0, failed = 0; /* a failed check jumps back here */
	for (struct unit_test *volatile t = unit_tests; t; t = t->next) {
		if (argc > 1 && strcmp(argv[1], t->name) != 0)
			continue;
		if (setjmp(unit_failed)) {
			fprintf(stderr, "failed: %s\n", t->name);
			failed++;
			continue;
		}
		t->run();
		passed++;
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed || !passed;
}
#define TEST_MAIN()                                                                                                                        \
	int main(int argc, char **argv) { return unit_main(argc, argv); }
#endif
