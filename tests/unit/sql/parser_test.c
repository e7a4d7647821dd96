/* The parser alone: shapes of trees, places, what is refused. */
#include "unit.h"
#include "sql/ast.h"

static struct tm_arena arena;

static struct ast_expr *expr(const char *text)
{
	struct ast_expr *e = NULL;
	struct tm_err err = {0};
	CHECK_OK(tm_sql_parse_expr(&arena, tm_str_of(text), &e, &err), err);
	return e;
}
/* (op a b) for operators, names and literals as they are. */
static void show(const struct ast_expr *e, struct tm_buf *out)
{
	switch (e->kind) {
	case AST_LITERAL:
		tm_buf_str_put(out, e->text);
		return;
	case AST_NAME:
		for (size_t i = 0; i < e->names.count; i++)
			tm_buf_printf(out, "%s%.*s", i ? "." : "", TM_STR_ARG(e->names.items[i]));
		return;
	case AST_CALL:
		tm_buf_printf(out, "(%.*s", TM_STR_ARG(e->names.items[0]));
		break;
	case AST_CAST:
		tm_buf_printf(out, "(cast:%.*s", TM_STR_ARG(e->text));
		break;
	case AST_BETWEEN:
		tm_buf_cstr_put(out, e->flag ? "(not-between" : "(between");
		break;
	case AST_IN:
		tm_buf_cstr_put(out, e->flag ? "(not-in" : "(in");
		break;
	case AST_INDEX:
		tm_buf_cstr_put(out, "(index");
		break;
	case AST_FIELD:
		tm_buf_printf(out, "(field:%.*s", TM_STR_ARG(e->text));
		break;
	case AST_LAMBDA:
		tm_buf_cstr_put(out, "(lambda");
		break;
	case AST_IS:
		tm_buf_printf(out, "(is%s-%.*s", e->flag ? "-not" : "", TM_STR_ARG(e->text));
		break;
	default:
		tm_buf_printf(out, "(%.*s", TM_STR_ARG(e->text));
		break;
	}
	for (size_t i = 0; i < e->args.count; i++) {
		tm_buf_char(out, ' ');
		show(e->args.items[i], out);
	}
	tm_buf_char(out, ')');
}
static void check_tree(const char *text, const char *want)
{
	struct tm_buf b = {0};
	show(expr(text), &b);
	struct tm_str got = tm_arena_str(&arena, tm_buf_str(&b));
	tm_buf_done(&b);
	CHECK_STR(got, want);
}
static void check_refused(const char *text, const char *klass, int line, int column)
{
	struct ast_stmt *s;
	struct tm_err err = {0};
	size_t offset = 0;
	CHECK(tm_sql_parse(&arena, tm_str_of(text), &offset, &s, &err) != TM_OK);
	CHECK_STR(tm_str_of(err.klass), klass);
	CHECK_INT(err.line, line);
	CHECK_INT(err.column, column);
}

TEST(precedence)
{
	check_tree("1 + 2 * 3", "(+ 1 (* 2 3))");
	check_tree("a - b - c", "(- (- a b) c)");
	check_tree("a or b and not c = d", "(OR a (AND b (NOT (= c d))))");
	check_tree("a & b | c ^ d << 1", "(| (& a b) (^ c (<< d 1)))");
	check_tree("-a * b", "(* (negative a) b)");
	check_tree("-1 - -2", "(- -1 -2)");
	check_tree("a || b = c", "(= (|| a b) c)");
	check_tree("x between 1 and 2 and y", "(AND (between x 1 2) y)");
	check_tree("a not in (1, 2) or b is not null", "(OR (not-in a 1 2) (is-not-NULL b))");
	check_tree("1 != 2", "(<> 1 2)");
	check_tree("a and b and c and d", "(AND (AND a b) (AND c d))");
}

TEST(postfix)
{
	check_tree("a.b[0].c", "(field:c (index a.b 0))");
	check_tree("x::int + 1", "(+ (cast:int x) 1)");
	check_tree("cast(x as struct<a:array<array<int>>>)", "(cast:struct<a:array<array<int>>> x)");
	check_tree("f(x, (a, b) -> a + b)", "(f x (lambda (+ a b)))");
	check_tree("`a``b`.`c d`", "a`b.c d");
}

TEST(tokens)
{
	check_tree("'it''s' 'x'", "it'sx");
	check_tree("'a\\tb\\u0041\\\\'", "a\tbA\\");
	check_tree("r'a\\t'", "a\\t");
	check_tree("1.e5", "1.e5");
	check_tree("0b1", "0b1");
	check_tree(".5 + 1e-3 /* a /* nested */ comment */ -- and another", "(+ .5 1e-3)");
	CHECK_INT(expr("5L")->literal, AST_LIT_BIGINT);
	CHECK_INT(expr("1.5")->literal, AST_LIT_DECIMAL);
	CHECK_INT(expr("1e")->kind, AST_NAME);
}

TEST(places)
{
	struct ast_expr *e = expr("a +\n  é + bc");
	CHECK_INT(e->args.items[1]->line, 2);
	CHECK_INT(e->args.items[1]->column, 7);
	CHECK_INT(e->line, 1);
}

TEST(refused)
{
	check_refused("SELECT", "PARSE_SYNTAX_ERROR", 1, 7);
	check_refused("SELECT .", "PARSE_SYNTAX_ERROR", 1, 8);
	check_refused("SELECT 1\nFROM t\nWHERE", "PARSE_SYNTAX_ERROR", 3, 6);
	check_refused("SELECT 'open", "PARSE_SYNTAX_ERROR", 1, 8);
	check_refused("SELECT /* open", "UNCLOSED_BRACKETED_COMMENT", 1, 8);
	check_refused("CREATE TABLE x (a INT)", "PARSE_SYNTAX_ERROR", 1, 8);
}

TEST(nesting_is_limited)
{
	struct tm_buf b = {0};
	struct ast_stmt *s;
	static const char *const openers[] = {"(", "NOT ", "- ", "array(", "CASE WHEN ", "(SELECT ", "a["};
	for (size_t k = 0; k < sizeof openers / sizeof *openers; k++) {
		struct tm_err err = {0};
		size_t offset = 0;
		b.len = 0;
		tm_buf_cstr_put(&b, "SELECT ");
		for (int i = 0; i < 100000; i++)
			tm_buf_cstr_put(&b, openers[k]);
		CHECK(tm_sql_parse(&arena, tm_buf_str(&b), &offset, &s, &err) != TM_OK);
	}
	/* Long chains are as deep as they are long: refused too, but AND and OR are halved. */
	struct tm_err err = {0};
	size_t offset = 0;
	b.len = 0;
	tm_buf_cstr_put(&b, "SELECT true");
	for (int i = 0; i < 50000; i++)
		tm_buf_cstr_put(&b, i % 2 ? " AND x" : " OR y");
	CHECK_OK(tm_sql_parse(&arena, tm_buf_str(&b), &offset, &s, &err), err);
	tm_buf_done(&b);
}

TEST(statements)
{
	struct ast_stmt *s;
	struct tm_err err = {0};
	struct tm_str text = tm_str_of(
	    "-- a pipeline\nCREATE STREAMING TABLE ks.t USING cassandra OPTIONS (keyspace 'k', kafka.bootstrap.servers = 'h:1', n 5) AS "
	    "SELECT 1;\n"
	    "SET a.b = c d ;; CREATE FLOW f AS INSERT INTO t BY NAME SELECT * FROM STREAM(x) WATERMARK ts DELAY OF INTERVAL 5 MINUTES");
	size_t offset = 0;
	CHECK_OK(tm_sql_parse(&arena, text, &offset, &s, &err), err);
	CHECK_INT(s->kind, AST_STMT_STREAMING_TABLE);
	CHECK_INT(s->line, 2);
	CHECK_INT(s->options.count, 3);
	CHECK_STR(s->options.items[1].name, "kafka.bootstrap.servers");
	CHECK_STR(s->options.items[2].value, "5");
	CHECK_OK(tm_sql_parse(&arena, text, &offset, &s, &err), err);
	CHECK_INT(s->kind, AST_STMT_SET);
	CHECK_STR(s->value, "c d");
	CHECK_OK(tm_sql_parse(&arena, text, &offset, &s, &err), err);
	CHECK(s == NULL);
	CHECK_OK(tm_sql_parse(&arena, text, &offset, &s, &err), err);
	CHECK_INT(s->kind, AST_STMT_FLOW);
	CHECK(s->by_name);
	CHECK(s->query->body->from->stream);
	CHECK(s->query->body->from->watermark != NULL);
	CHECK_INT(offset, text.len);
}
TEST_MAIN()
