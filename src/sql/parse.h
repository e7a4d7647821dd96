/* Between the files of the parser. */
#ifndef TM_SQL_PARSE_H
#define TM_SQL_PARSE_H
#include "sql/ast.h"
#include "sql/lex.h"

struct parser {
	struct tm_arena *arena;
	struct tm_str text;
	struct tokens tokens;
	size_t at;
	uint32_t depth;
	struct ast_marks marks;
	struct tm_err *err;
};

static inline const struct token *tok(const struct parser *p, size_t ahead)
{
	size_t i = p->at + ahead;
	return &p->tokens.items[i < p->tokens.count ? i : p->tokens.count - 1];
}
static inline bool at_word(const struct parser *p, size_t ahead, const char *word)
{
	return tok(p, ahead)->kind == TOK_WORD && tm_str_iis(tok(p, ahead)->text, word);
}
static inline bool at_sign(const struct parser *p, size_t ahead, const char *sign)
{
	return tok(p, ahead)->kind == TOK_SIGN && tm_str_is(tok(p, ahead)->text, sign);
}
static inline bool at_end(const struct parser *p) { return tok(p, 0)->kind == TOK_END; }
static inline bool take_word(struct parser *p, const char *word) { return at_word(p, 0, word) ? (p->at++, true) : false; }
static inline bool take_sign(struct parser *p, const char *sign) { return at_sign(p, 0, sign) ? (p->at++, true) : false; }
bool at_words(const struct parser *p, const char *const *words);
bool take_words(struct parser *p, const char *first, const char *second);

tm_rc parse_fail(struct parser *p); /* syntax error at the token that stands next */
tm_rc parse_fail_class(struct parser *p, int line, int column, const char *klass, const char *sqlstate, const char *fmt, ...)
    TM_PRINTF(6, 7);
tm_rc parse_want_word(struct parser *p, const char *word) TM_CHECKED;
tm_rc parse_want_sign(struct parser *p, const char *sign) TM_CHECKED;
tm_rc parse_deeper(struct parser *p) TM_CHECKED; /* depth++; the caller takes it back */
tm_rc parse_too_deep(struct parser *p);          /* refuses it */
bool at_identifier(const struct parser *p, size_t ahead);
tm_rc parse_identifier(struct parser *p, struct tm_str *ret) TM_CHECKED;
tm_rc parse_names(struct parser *p, struct ast_names *ret) TM_CHECKED;     /* a.b.c */
tm_rc parse_name_list(struct parser *p, struct ast_names *ret) TM_CHECKED; /* (a, b, c) */
tm_rc parse_type_text(struct parser *p, struct tm_str *ret) TM_CHECKED;
bool at_query(const struct parser *p, size_t ahead);

struct ast_expr *parse_node(struct parser *p, enum ast_expr_kind kind, const struct token *start);
/* The same at the next token, where what stands before is its first argument: its text begins with it. */
struct ast_expr *parse_node_after(struct parser *p, enum ast_expr_kind kind, const struct ast_expr *first);
tm_rc parse_add_arg(struct parser *p, struct ast_expr *e, struct ast_expr *arg) TM_CHECKED;
void parse_close(struct parser *p, struct ast_expr *e); /* its text ends with the token before */
struct ast_expr *parse_string_node(struct parser *p, struct tm_str s, const struct token *at);

tm_rc parse_expr(struct parser *p, struct ast_expr **ret) TM_CHECKED;
tm_rc parse_value(struct parser *p, int least, struct ast_expr **ret) TM_CHECKED;
tm_rc parse_primary(struct parser *p, struct ast_expr **ret) TM_CHECKED;
tm_rc parse_expr_list(struct parser *p, struct ast_exprs *ret) TM_CHECKED;
tm_rc parse_named_expr(struct parser *p, struct ast_expr **ret) TM_CHECKED; /* with an alias */
tm_rc parse_order_by(struct parser *p, struct ast_orders *ret) TM_CHECKED;
tm_rc parse_window(struct parser *p, struct ast_window **ret) TM_CHECKED;
tm_rc parse_interval(struct parser *p, struct ast_expr **ret) TM_CHECKED;
bool at_interval(const struct parser *p);

tm_rc parse_query(struct parser *p, struct ast_query **ret) TM_CHECKED;
/* parse_query.c, for parse_pipe.c */
tm_rc parse_pipe(struct parser *p, struct ast_query **io) TM_CHECKED;       /* at |>; what stands before it, then with it */
tm_rc parse_query_tail(struct parser *p, struct ast_query *q) TM_CHECKED;   /* ORDER BY, LIMIT and their kin */
tm_rc parse_query_term(struct parser *p, struct ast_body **ret) TM_CHECKED; /* what set operations combine */
bool at_setop(const struct parser *p);
struct ast_body *parse_setop_node(struct parser *p, struct ast_body *left); /* its right side comes next */
tm_rc parse_select_list(struct parser *p, struct ast_body *b) TM_CHECKED;   /* at SELECT */
tm_rc parse_items(struct parser *p, struct ast_exprs *ret) TM_CHECKED;
tm_rc parse_windows(struct parser *p, struct ast_body *b) TM_CHECKED;                      /* WINDOW …, if it stands there */
tm_rc parse_join(struct parser *p, struct ast_rel *left, struct ast_rel **ret) TM_CHECKED; /* NULL: none stands there */
tm_rc parse_pivot(struct parser *p, struct ast_rel *r) TM_CHECKED;
tm_rc parse_sample(struct parser *p, struct ast_rel *r) TM_CHECKED;
struct ast_rel *parse_rel_node(struct parser *p, enum ast_rel_kind kind);
struct ast_body *parse_body_node(struct parser *p, enum ast_body_kind kind);
tm_rc parse_rel(struct parser *p, struct ast_rel **ret) TM_CHECKED;
tm_rc parse_lateral_views(struct parser *p, struct ast_lateral_view **ret_items, size_t *ret_count) TM_CHECKED;
tm_rc parse_statement(struct parser *p, struct ast_stmt **ret) TM_CHECKED;
#endif
