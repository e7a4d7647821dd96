/* The user's settings: the input as tidemill.yaml; and, split at line ends, as the words of a command line. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "cli/args.h"
#include "cli/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static void forget(void) { TM_ASSERT(tm_dir_remove(dir, NULL) == TM_OK); }

static void yaml(const uint8_t *data, size_t size)
{
	char path[96];
	struct tm_config config;
	struct tm_err err = {0};
	if (!dir[0]) {
		snprintf(dir, sizeof dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/tm-config-XXXXXX" : "/tmp/tm-config-XXXXXX");
		TM_ASSERT(mkdtemp(dir) != NULL);
		atexit(forget);
	}
	snprintf(path, sizeof path, "%s/tidemill.yaml", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	TM_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	if (tm_config_load(&config, dir, &err) != TM_OK) {
		char text[2000];
		tm_err_render(&err, tm_str_n((const char *)data, size), text, sizeof text);
	}
	tm_config_done(&config);
}

static void command_line(const uint8_t *data, size_t size)
{
	bool json = false;
	const char *name = NULL;
	int64_t count = 0;
	struct tm_texts many = {0}, words = {0};
	const struct tm_arg args[] = {
	    {"--json", TM_ARG_FLAG, &json, NULL, "one line of JSON"},
	    {"--name", TM_ARG_TEXT, &name, "NAME", "a name"},
	    {"--count", TM_ARG_NUMBER, &count, "N", "how many"},
	    {"--trigger", TM_ARG_TEXTS, &many, "DAG_ID", "any number of them"},
	};
	char *text = malloc(size + 1), *argv[64], *at = text;
	int argc = 0;
	memcpy(text, data, size);
	text[size] = 0;
	while (argc < 64 && at) {
		argv[argc++] = at;
		at = strchr(at, '\n');
		if (at)
			*at++ = 0;
	}
	struct tm_err err = {0};
	tm_rc rc = tm_args_parse(argc, argv, args, sizeof args / sizeof *args, &words, &err);
	(void)rc;
	struct tm_address address;
	rc = tm_address_parse(tm_str_of(argv[0]), &address, &err);
	tm_texts_done(&words);
	tm_texts_done(&many);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 20000)
		return 0;
	yaml(data, size);
	command_line(data, size);
	return 0;
}
