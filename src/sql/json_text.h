/* JSON as text: normal form, paths, keys. The decoder into columns is column/json.h. */
#ifndef TM_SQL_JSON_TEXT_H
#define TM_SQL_JSON_TEXT_H
#include "sql/fn_int.h"

struct json_reader {
	const char *at, *end;
	bool strict;  /* no single quotes, no control characters in strings */
	bool variant; /* decimals stay exact, keys are sorted */
};
static inline struct json_reader json_reader_of(struct tm_str s) { return (struct json_reader){.at = s.at, .end = s.at + s.len}; }
/* One value, checked, to out (may be NULL) in Jackson's normal form; blanks before it are skipped. */
bool json_value(struct json_reader *r, struct tm_buf *out, int depth);
bool json_whole(struct json_reader *r, struct tm_buf *out); /* and nothing behind it */
/* The next token's first character, 0 at the end. */
char json_peek(struct json_reader *r);
/* A string or a field's name, unescaped into out. */
bool json_read_string(struct json_reader *r, struct tm_buf *out);
void json_quote(struct tm_str s, struct tm_buf *out);

enum json_step_kind { JSON_KEY, JSON_INDEX, JSON_ALL };
struct json_step {
	enum json_step_kind kind;
	struct tm_str key;
	int64_t index;
};
struct json_path {
	struct json_step *items;
	size_t count, cap;
};
bool json_path_parse(struct tm_arena *arena, struct tm_str text, struct json_path *ret);
/* get_json_object's answer: false = null. */
bool json_get(struct tm_str text, const struct json_path *path, struct tm_buf *out);
/* The text of the value at path, not unquoted; false when there is none. */
bool json_find(struct tm_str text, const struct json_path *path, struct tm_str *ret);
/* to_json's text of a value; times as their plain text. */
void fn_json_text(const struct tm_session *session, const struct tm_column *c, size_t row, struct tm_buf *out);
#endif
