/* Tokens of CQL. The whole text is cut at once: statements are short, and errors quote the tokens around them. */
#ifndef TM_CQL_LEX_H
#define TM_CQL_LEX_H
#include "base/base.h"

enum cql_token_kind {
	CQL_T_END,
	CQL_T_NAME,
	CQL_T_QUOTED,
	CQL_T_STRING,
	CQL_T_INTEGER,
	CQL_T_FLOAT,
	CQL_T_UUID,
	CQL_T_HEX,
	CQL_T_DURATION,
	CQL_T_SPACE, /* white space and comments: kept for the error texts only */
	CQL_T_SYMBOL /* one of the marks of the grammar; text says which */
};
struct cql_token {
	enum cql_token_kind kind;
	struct tm_str raw;  /* as written */
	struct tm_str text; /* names in lower case, quotes off, '' undone */
	int line, column;   /* from 1, from 0 */
};
struct cql_tokens {
	struct cql_token *items;
	size_t count, cap;
};
/* The last token is CQL_T_END. TM_SYNTAX with Cassandra's text. */
tm_rc cql_lex(struct tm_arena *arena, struct tm_str text, struct cql_tokens *ret, struct tm_err *err) TM_CHECKED;
#endif
