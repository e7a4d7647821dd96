/* The lexer. Positions count code points' bytes as Cassandra's ANTLR lexer counts characters: from 0 in a line. */
#include "cql/lex.h"
#include <ctype.h>

struct lexer {
	struct tm_arena *arena;
	const char *start, *at, *end, *line_start;
	const char *counted_to; /* of this line, so that a long line is counted once, not once per token */
	int line, counted;
	struct cql_tokens *out;
	struct tm_err *err;
};

static int column_of(struct lexer *x, const char *p)
{
	if (!x->counted_to || x->counted_to < x->line_start || p < x->counted_to) {
		x->counted_to = x->line_start;
		x->counted = 0;
	}
	for (; x->counted_to < p; x->counted_to++)
		x->counted += ((unsigned char)*x->counted_to & 0xC0) != 0x80;
	return x->counted;
}

static char peek(const struct lexer *x, size_t n) { return n < (size_t)(x->end - x->at) ? x->at[n] : 0; }
static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool word(char c) { return letter(c) || digit(c) || c == '_'; }
static bool hex(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static void push(struct lexer *x, enum cql_token_kind kind, const char *from, struct tm_str text)
{
	struct cql_token t = {
	    .kind = kind, .raw = tm_str_n(from, (size_t)(x->at - from)), .text = text, .line = x->line, .column = column_of(x, from)};
	TM_PUSH_IN(x->arena, x->out, t);
}

static tm_rc bad_char(struct lexer *x, const char *at, const char *what, const char *expecting, struct tm_str shown)
{
	tm_rc rc =
	    tm_fail(x->err, TM_SYNTAX, "line %d:%d %s character '%.*s'%s", x->line, column_of(x, at), what, TM_STR_ARG(shown), expecting);
	tm_err_at(x->err, NULL, x->line, column_of(x, at) + 1);
	return rc;
}

static struct tm_str char_at(const struct lexer *x, const char *at)
{
	if (at >= x->end)
		return TM_STR("<EOF>");
	size_t n = 1;
	while (at + n < x->end && ((unsigned char)at[n] & 0xC0) == 0x80)
		n++;
	return tm_str_n(at, n);
}

static void count_lines(struct lexer *x, const char *from)
{
	for (const char *p = from; p < x->at; p++)
		if (*p == '\n') {
			x->line++;
			x->line_start = p + 1;
		}
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool uuid_here(const struct lexer *x)
{
	static const int groups[] = {8, 4, 4, 4, 12};
	size_t n = 0;
	for (int g = 0; g < 5; g++) {
		if (g && peek(x, n++) != '-')
			return false;
		for (int i = 0; i < groups[g]; i++)
			if (!hex(peek(x, n++)))
				return false;
	}
	return true;
}

static size_t unit_here(const struct lexer *x, size_t n)
{
	static const char *const units[] = {"mo", "ms", "us", "\xC2\xB5s", "ns", "y", "w", "d", "h", "m", "s"};
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t len = strlen(units[i]);
		struct tm_str here = tm_str_n(x->at + n, (size_t)(x->end - x->at) - n < len ? 0 : len);
		if (here.len && tm_str_iis(here, units[i]))
			return len;
	}
	return 0;
}

/* 1y2mo3d…: length, or 0. */
static size_t duration_here(const struct lexer *x)
{
	size_t n = peek(x, 0) == '-', parts = 0;
	for (;; parts++) {
		size_t m = n;
		while (digit(peek(x, m)))
			m++;
		size_t unit = m > n ? unit_here(x, m) : 0;
		if (!unit)
			break;
		n = m + unit;
	}
	return parts && !word(peek(x, n)) ? n : 0;
}

/* P1Y2M3DT4H5M6S, P2W, P0001-02-03T04:05:06: length, or 0. */
static size_t iso_duration_here(const struct lexer *x)
{
	size_t n = peek(x, 0) == '-', digits = 0;
	if (peek(x, n) != 'P' && peek(x, n) != 'p')
		return 0;
	for (n++; digit(peek(x, n)) || strchr("YMDTHSWymdthsw", peek(x, n) ? peek(x, n) : '!') ||
		  (digits && (peek(x, n) == '-' || peek(x, n) == ':') && digit(peek(x, n + 1)));
	     n++)
		digits += digit(peek(x, n)) != 0;
	return digits && !word(peek(x, n)) ? n : 0;
}

static bool word_here(const struct lexer *x, size_t n, const char *lower)
{
	size_t len = strlen(lower);
	for (size_t i = 0; i < len; i++)
		if (tolower((unsigned char)peek(x, n + i)) != lower[i])
			return false;
	return !word(peek(x, n + len));
}

static tm_rc lex_number(struct lexer *x)
{
	const char *from = x->at;
	size_t n = duration_here(x);
	if (n) {
		x->at += n;
		push(x, CQL_T_DURATION, from, tm_str_n(from, n));
		return TM_OK;
	}
	n = *x->at == '-';
	if (peek(x, n) == '0' && (peek(x, n + 1) == 'x' || peek(x, n + 1) == 'X') && n == 0) {
		for (n = 2; hex(peek(x, n)); n++)
			;
		x->at += n;
		push(x, CQL_T_HEX, from, tm_str_n(from, n));
		return TM_OK;
	}
	enum cql_token_kind kind = CQL_T_INTEGER;
	while (digit(peek(x, n)))
		n++;
	if (peek(x, n) == '.' && peek(x, n + 1) != '.') {
		kind = CQL_T_FLOAT;
		for (n++; digit(peek(x, n)); n++)
			;
	}
	if ((peek(x, n) == 'e' || peek(x, n) == 'E') &&
	    (digit(peek(x, n + 1)) || ((peek(x, n + 1) == '-' || peek(x, n + 1) == '+') && digit(peek(x, n + 2))))) {
		kind = CQL_T_FLOAT;
		for (n += 2; digit(peek(x, n)); n++)
			;
	}
	x->at += n;
	if (kind == CQL_T_INTEGER && letter(peek(x, 0)) && strchr("fFaAbBcC", peek(x, 0)))
		return bad_char(x, x->at + 1, "mismatched", " expecting set null", char_at(x, x->at + 1));
	push(x, kind, from, tm_str_n(from, n));
	return TM_OK;
}

static tm_rc lex_quoted(struct lexer *x, char quote)
{
	const char *from = x->at;
	char *out = tm_arena_alloc(x->arena, (size_t)(x->end - x->at) + 1);
	size_t n = 0;
	for (x->at++;; x->at++) {
		if (x->at >= x->end)
			return quote == '"' ? bad_char(x, x->at, "mismatched", " expecting '\"'", TM_STR("<EOF>"))
					    : bad_char(x, x->at, "mismatched", " expecting '''", TM_STR("<EOF>"));
		if (*x->at == quote) {
			if (peek(x, 1) != quote)
				break;
			x->at++;
		}
		out[n++] = *x->at;
	}
	x->at++;
	struct tm_str raw = tm_str_n(from, (size_t)(x->at - from));
	push(x, quote == '"' ? CQL_T_QUOTED : CQL_T_STRING, from, tm_str_n(out, n));
	(void)raw;
	count_lines(x, from);
	return TM_OK;
}

static tm_rc lex_dollars(struct lexer *x)
{
	const char *from = x->at;
	size_t to = tm_str_find(tm_str_n(x->at, (size_t)(x->end - x->at)), TM_STR("$$"), 2);
	if (to == SIZE_MAX)
		return bad_char(x, x->end, "mismatched", " expecting '$'", TM_STR("<EOF>"));
	x->at += to + 2;
	push(x, CQL_T_STRING, from, tm_str_n(from + 2, to - 2));
	count_lines(x, from);
	return TM_OK;
}

static bool lex_space(struct lexer *x, tm_rc *rc)
{
	const char *from = x->at;
	if (isspace((unsigned char)*x->at)) {
		while (x->at < x->end && isspace((unsigned char)*x->at))
			x->at++;
	} else if ((*x->at == '-' && peek(x, 1) == '-') || (*x->at == '/' && peek(x, 1) == '/')) {
		while (x->at < x->end && *x->at != '\n')
			x->at++;
	} else if (*x->at == '/' && peek(x, 1) == '*') {
		size_t to = tm_str_find(tm_str_n(x->at, (size_t)(x->end - x->at)), TM_STR("*/"), 2);
		if (to == SIZE_MAX) {
			*rc = bad_char(x, x->end, "mismatched", " expecting '*'", TM_STR("<EOF>"));
			return true;
		}
		x->at += to + 2;
	} else {
		return false;
	}
	push(x, CQL_T_SPACE, from, tm_str_n(from, (size_t)(x->at - from)));
	count_lines(x, from);
	return true;
}

static void lex_word(struct lexer *x)
{
	const char *from = x->at;
	while (x->at < x->end && word(*x->at))
		x->at++;
	size_t n = (size_t)(x->at - from);
	char *lower = tm_arena_alloc(x->arena, n + 1);
	for (size_t i = 0; i < n; i++)
		lower[i] = (char)tolower((unsigned char)from[i]);
	push(x, CQL_T_NAME, from, tm_str_n(lower, n));
}

/* Is what stands before something that a minus behind it subtracts from? */
static bool after_operand(const struct lexer *x)
{
	const struct cql_token *t = x->out->count ? &x->out->items[x->out->count - 1] : NULL;
	return t && t->kind != CQL_T_SPACE &&
	       (t->kind != CQL_T_SYMBOL || t->raw.at[0] == ')' || t->raw.at[0] == ']' || t->raw.at[0] == '?');
}

static tm_rc lex_symbol(struct lexer *x)
{
	static const char *const marks[] = {"+=", "-=", "<=", ">=", "!=", "..", "(", ")", "[", "]", "{", "}", ",",
					    ";",  ":",  ".",  "?",  "=",  "<",  ">", "+", "-", "*", "/", "%"};
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		size_t n = strlen(marks[i]);
		if ((size_t)(x->end - x->at) >= n && memcmp(x->at, marks[i], n) == 0) {
			const char *from = x->at;
			x->at += n;
			push(x, CQL_T_SYMBOL, from, tm_str_n(from, n));
			return TM_OK;
		}
	}
	return bad_char(x, x->at, "no viable alternative at", "", char_at(x, x->at));
}

static tm_rc lex_one(struct lexer *x)
{
	char c = *x->at;
	const char *from = x->at;
	tm_rc rc = TM_OK;
	if (lex_space(x, &rc))
		return rc;
	if (hex(c) && uuid_here(x)) {
		x->at += 36;
		push(x, CQL_T_UUID, from, tm_str_n(from, 36));
		return TM_OK;
	}
	size_t iso = c == 'P' || c == 'p' || (c == '-' && (peek(x, 1) == 'P' || peek(x, 1) == 'p')) ? iso_duration_here(x) : 0;
	if (iso) {
		x->at += iso;
		push(x, CQL_T_DURATION, from, tm_str_n(from, iso));
		return TM_OK;
	}
	if (digit(c) || (c == '-' && digit(peek(x, 1)) && (!after_operand(x) || duration_here(x))))
		return lex_number(x);
	if (c == '-' && letter(peek(x, 1)) && strchr("iInN", peek(x, 1))) {
		const char *name = tolower((unsigned char)peek(x, 1)) == 'i' ? "infinity" : "nan";
		if (word_here(x, 1, name)) {
			x->at += 1 + strlen(name);
			push(x, CQL_T_FLOAT, from, tm_str_n(from, (size_t)(x->at - from)));
			return TM_OK;
		}
		return bad_char(x, x->at + 2, "mismatched", " expecting set null", char_at(x, x->at + 2));
	}
	if (letter(c)) {
		lex_word(x);
		return TM_OK;
	}
	if (c == '\'' || c == '"')
		return lex_quoted(x, c);
	if (c == '$' && peek(x, 1) == '$')
		return lex_dollars(x);
	return lex_symbol(x);
}

tm_rc cql_lex(struct tm_arena *arena, struct tm_str text, struct cql_tokens *ret, struct tm_err *err)
{
	*ret = (struct cql_tokens){0};
	struct lexer x = {.arena = arena,
			  .start = text.at,
			  .at = text.at,
			  .end = text.at + text.len,
			  .line_start = text.at,
			  .line = 1,
			  .out = ret,
			  .err = err};
	if (text.len > TM_LIMIT_CQL_STATEMENT_BYTES)
		return tm_fail(err, TM_SYNTAX, "the statement is longer than %zu bytes", TM_LIMIT_CQL_STATEMENT_BYTES);
	while (x.at < x.end) {
		TM_TRY(lex_one(&x));
		if (ret->count > TM_LIMIT_CQL_TOKENS)
			return tm_fail(err, TM_SYNTAX, "the statement has more than %zu words and marks", TM_LIMIT_CQL_TOKENS);
	}
	push(&x, CQL_T_END, x.at, TM_STR("<EOF>"));
	return TM_OK;
}
