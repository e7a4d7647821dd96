/* `tidemill health`: the word of GET /health as an exit status, for a container's HEALTHCHECK and for scripts that wait. It runs every
 * few seconds, so it asks one thing and starts nothing. */
#include "cli/command.h"
#include "cli/remote.h"
#include <stdio.h>

int tm_command_health(const struct tm_command *self, int argc, char **argv)
{
	struct tm_common common = {0};
	const struct tm_arg args[] = {TM_COMMON_ARGS(&common)};
	struct tm_texts words = {0};
	int status = 0;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &common, &words, &status)) {
		struct tm_err err;
		struct tm_remote remote;
		struct tm_buf out = {0};
		tm_rc rc = tm_remote_find(&remote, words.count ? words.items[0] : common.project, &err);
		if (rc == TM_OK)
			rc = tm_remote_call(&remote, "/health", NULL, &out, &err);
		if (rc != TM_OK)
			status = tm_command_fail(&err, common.json, (struct tm_str){0});
		else if (common.json)
			printf("%s\n", tm_buf_cstr(&out));
		else
			printf("all doors listen: %s\n", remote.base);
		tm_buf_done(&out);
		tm_remote_done(&remote);
	}
	tm_texts_done(&words);
	return status;
}
