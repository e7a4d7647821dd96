/* The parser's state and the pieces its files share. Recursive descent over the tokens; depth is bounded. */
#ifndef TM_CQL_PARSE_INT_H
#define TM_CQL_PARSE_INT_H
#include "cql/ast.h"

struct names {
	struct tm_str *items;
	size_t count, cap;
};
struct parser {
	struct tm_arena *arena;
	struct cql_tokens tokens;
	struct tm_str source;
	size_t at;
	int depth;
	bool selecting; /* columns may stand in expressions */
	struct names markers;
	struct tm_err *err;
};
const struct cql_token *cur(const struct parser *p);
const struct cql_token *ahead(const struct parser *p, size_t n); /* n-th token behind the current one, spaces left out */
void advance(struct parser *p);
bool is_mark(const struct parser *p, const char *mark);
bool is_word(const struct parser *p, const char *word);
bool mark_at(const struct parser *p, size_t n, const char *mark); /* of the token ahead(p, n) */
bool word_at(const struct parser *p, size_t n, const char *word);
bool take_mark(struct parser *p, const char *mark);
bool take_word(struct parser *p, const char *word);
tm_rc need_mark(struct parser *p, const char *mark) TM_CHECKED;
tm_rc need_word(struct parser *p, const char *word) TM_CHECKED; /* "from": says expecting K_FROM */
tm_rc no_viable(struct parser *p);
tm_rc no_viable_at(struct parser *p, const struct cql_token *from);
bool is_name(const struct parser *p); /* an identifier or an unreserved word */
tm_rc parse_name(struct parser *p, struct tm_str *ret) TM_CHECKED;
tm_rc parse_column_names(struct parser *p, struct names *out) TM_CHECKED; /* a, b, … */
tm_rc parse_table_name(struct parser *p, struct cql_name *ret) TM_CHECKED;
tm_rc parse_type(struct parser *p, struct cql_raw_type **ret) TM_CHECKED;
tm_rc parse_term(struct parser *p, struct cql_expr **ret) TM_CHECKED;
tm_rc parse_marker_or(struct parser *p, enum cql_expr_kind kind, struct cql_expr **ret) TM_CHECKED;
/* Joined by AND. */
tm_rc parse_relations(struct parser *p, bool conditions, struct cql_relation **ret, size_t *ret_count) TM_CHECKED;
tm_rc parse_select(struct parser *p, struct cql_statement *s) TM_CHECKED;
tm_rc parse_modification(struct parser *p, struct cql_modify *m) TM_CHECKED; /* INSERT, UPDATE, DELETE */
tm_rc parse_batch(struct parser *p, struct cql_statement *s) TM_CHECKED;
tm_rc parse_ddl(struct parser *p, struct cql_statement *s) TM_CHECKED;
tm_rc parse_describe(struct parser *p, struct cql_statement *s) TM_CHECKED;
struct cql_expr *new_expr(struct parser *p, enum cql_expr_kind kind, struct tm_str text);
#endif
