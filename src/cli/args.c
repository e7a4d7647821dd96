/* Parsing options. */
#include "cli/args.h"
#include <stdlib.h>

static tm_rc unknown(const char *word, const struct tm_arg *args, size_t n, struct tm_err *err)
{
	const char *names[64];
	size_t k = 0;
	for (size_t i = 0; i < n && k < 63; i++)
		names[k++] = args[i].name;
	names[k] = NULL;
	tm_fail(err, TM_INVALID, "unknown option %s", word);
	const char *close = tm_str_closest(tm_str_of(word), names);
	if (close)
		tm_err_hint(err, "Did you mean %s?", close);
	else
		tm_err_hint(err, "`--help` lists the options.");
	return TM_INVALID;
}

tm_rc tm_args_parse(int argc, char **argv, const struct tm_arg *args, size_t arg_count, struct tm_texts *ret_words, struct tm_err *err)
{
	bool options = true;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		if (!options || word[0] != '-' || word[1] == 0) {
			TM_PUSH(ret_words, word);
			continue;
		}
		if (strcmp(word, "--") == 0) {
			options = false;
			continue;
		}
		const char *equals = strchr(word, '=');
		struct tm_str name = {word, equals ? (size_t)(equals - word) : strlen(word)};
		const struct tm_arg *found = NULL;
		for (size_t k = 0; k < arg_count; k++)
			if (tm_str_is(name, args[k].name))
				found = &args[k];
		if (!found)
			return unknown(word, args, arg_count, err);
		if (found->kind == TM_ARG_FLAG) {
			if (equals)
				return tm_fail(err, TM_INVALID, "%s takes no value", found->name);
			*(bool *)found->at = true;
			continue;
		}
		const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
		if (!value)
			return tm_fail(err, TM_INVALID, "%s needs a value: %s %s", found->name, found->name, found->value);
		if (found->kind == TM_ARG_TEXT) {
			*(const char **)found->at = value;
		} else if (found->kind == TM_ARG_TEXTS) {
			TM_PUSH((struct tm_texts *)found->at, value);
		} else if (!tm_str_to_i64(tm_str_of(value), found->at)) {
			return tm_fail(err, TM_INVALID, "%s needs a number, not '%s'", found->name, value);
		}
	}
	return TM_OK;
}

void tm_args_help(const struct tm_arg *args, size_t arg_count, struct tm_buf *out)
{
	for (size_t i = 0; i < arg_count; i++) {
		size_t start = out->len;
		tm_buf_printf(out, "  %s%s%s", args[i].name, args[i].value ? " " : "", args[i].value ? args[i].value : "");
		while (out->len - start < 26)
			tm_buf_char(out, ' ');
		tm_buf_printf(out, " %s\n", args[i].doc);
	}
}

void tm_texts_done(struct tm_texts *texts)
{
	free(texts->items);
	*texts = (struct tm_texts){0};
}
