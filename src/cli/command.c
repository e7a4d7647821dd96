/* What all subcommands share, and the smallest of them. */
#include "cli/command.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool tm_color(int fd)
{
	const char *no = getenv("NO_COLOR");
	return isatty(fd) && !(no && *no);
}

int tm_command_fail(const struct tm_err *err, bool json, struct tm_str source)
{
	if (json) {
		struct tm_buf out = {0};
		tm_buf_cstr_put(&out, "{\"error\": {");
		if (err->klass[0])
			tm_buf_printf(&out, "\"class\": \"%s\", \"sqlstate\": \"%s\", ", err->klass, err->sqlstate);
		tm_buf_cstr_put(&out, "\"message\": ");
		tm_buf_json_str(&out, tm_str_of(err->what[0] ? err->what : tm_rc_text(err->rc)));
		const struct {
			const char *name, *text;
		} parts[] = {{"file", err->file}, {"detail", err->detail}, {"hint", err->hint}};
		for (size_t i = 0; i < 3; i++)
			if (*parts[i].text) {
				tm_buf_printf(&out, ", \"%s\": ", parts[i].name);
				tm_buf_json_str(&out, tm_str_of(parts[i].text));
			}
		if (err->line)
			tm_buf_printf(&out, ", \"line\": %d, \"column\": %d", err->line, err->column);
		tm_buf_cstr_put(&out, "}}");
		puts(tm_buf_cstr(&out));
		tm_buf_done(&out);
	} else {
		char text[4000];
		fprintf(stderr, "%s\n", tm_err_render(err, source, text, sizeof text));
	}
	return tm_rc_exit(err->rc) ? tm_rc_exit(err->rc) : 1;
}

int tm_command_misused(const struct tm_command *self, bool json)
{
	struct tm_err err;
	tm_fail(&err, TM_INVALID, "usage: %s", self->usage);
	tm_command_fail(&err, json, (struct tm_str){0});
	return 2;
}

bool tm_command_parse(const struct tm_command *self, int argc, char **argv, const struct tm_arg *args, size_t arg_count,
		      const struct tm_common *common, struct tm_texts *ret_words, int *ret_status)
{
	struct tm_err err;
	if (tm_args_parse(argc, argv, args, arg_count, ret_words, &err) != TM_OK) {
		tm_command_fail(&err, common->json, (struct tm_str){0});
		*ret_status = 2;
		return false;
	}
	if (!common->help)
		return true;
	struct tm_buf out = {0};
	tm_buf_printf(&out, "%s\n%s.\n\n", self->usage, self->summary);
	tm_args_help(args, arg_count, &out);
	fwrite(out.at, 1, out.len, stdout);
	tm_buf_done(&out);
	*ret_status = 0;
	return false;
}

int tm_command_version(const struct tm_command *self, int argc, char **argv)
{
	struct tm_common common = {0};
	const struct tm_arg args[] = {TM_COMMON_ARGS(&common)};
	struct tm_texts words = {0};
	int status;
	if (tm_command_parse(self, argc, argv, args, sizeof args / sizeof *args, &common, &words, &status)) {
		printf(common.json ? "{\"version\": \"%s\"}\n" : "tidemill %s\n", TM_VERSION);
		status = 0;
	}
	tm_texts_done(&words);
	return status;
}
