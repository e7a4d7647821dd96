/* Spark SQL text to tokens. */
#ifndef TM_SQL_LEX_H
#define TM_SQL_LEX_H
#include "base/base.h"

enum token_kind { TOK_END, TOK_WORD, TOK_QUOTED, TOK_STRING, TOK_NUMBER, TOK_SIGN, TOK_BAD };
enum number_kind { NUM_INTEGER, NUM_DECIMAL, NUM_EXPONENT, NUM_TINYINT, NUM_SMALLINT, NUM_BIGINT, NUM_FLOAT, NUM_DOUBLE, NUM_BIGDECIMAL };
struct token {
	enum token_kind kind;
	enum number_kind number;
	struct tm_str text; /* as it stands; QUOTED: without the quotes (doubled ones undone), NUMBER: without the suffix */
	size_t from, to;
	int line, column;
	bool space_before; /* white space or a comment before it */
};
struct tokens {
	struct token *items;
	size_t count, cap;
};
/* All tokens of one statement: up to a semicolon outside quotes, or the end; *offset moves behind it. The last token is END. */
tm_rc tm_sql_lex(struct tm_arena *arena, struct tm_str text, size_t *offset, struct tokens *ret, struct tm_err *err) TM_CHECKED;
/* A string literal with its quotes, escapes undone. */
struct tm_str tm_sql_unquote(struct tm_arena *arena, struct tm_str literal);
#endif
