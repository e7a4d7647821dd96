/* The lexer: Spark's tokens. An identifier may start with a digit (0b1, 1e), the longest match decides; comments nest; r'…' is raw;
 * "…" is a string like '…'. Line and column are kept as we go, columns in code points. */
#include "sql/lex.h"

struct lexer {
	struct tm_str text;
	size_t at;
	int line, column;
};

static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_word(unsigned char c) { return ((c | 32) >= 'a' && (c | 32) <= 'z') || is_digit(c) || c == '_' || c >= 0x80; }
static int peek(const struct lexer *lx, size_t ahead)
{
	return lx->at + ahead < lx->text.len ? (unsigned char)lx->text.at[lx->at + ahead] : -1;
}

static void advance(struct lexer *lx, size_t n)
{
	while (n-- && lx->at < lx->text.len) {
		unsigned char c = (unsigned char)lx->text.at[lx->at++];
		if (c == '\n') {
			lx->line++;
			lx->column = 1;
		} else if ((c & 0xC0) != 0x80) {
			lx->column++;
		}
	}
}

static tm_rc skip_comment(struct lexer *lx, struct tm_err *err)
{
	int line = lx->line, column = lx->column, depth = 0;
	do {
		if (peek(lx, 0) < 0) {
			tm_rc rc = tm_fail_class(err, TM_SYNTAX, "UNCLOSED_BRACKETED_COMMENT", "42601",
						 "Found an unclosed bracketed comment. Please, append */ at the end of the comment.");
			tm_err_at(err, NULL, line, column);
			return rc;
		}
		if (peek(lx, 0) == '/' && peek(lx, 1) == '*') {
			depth++;
			advance(lx, 2);
		} else if (peek(lx, 0) == '*' && peek(lx, 1) == '/') {
			depth--;
			advance(lx, 2);
		} else {
			advance(lx, 1);
		}
	} while (depth);
	return TM_OK;
}

static tm_rc skip_space(struct lexer *lx, struct tm_err *err)
{
	for (;;) {
		int c = peek(lx, 0);
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v')
			advance(lx, 1);
		else if (c == 0xC2 && peek(lx, 1) == 0xA0)
			advance(lx, 2);
		else if (c == 0xEF && peek(lx, 1) == 0xBB && peek(lx, 2) == 0xBF)
			advance(lx, 3);
		else if (c == '-' && peek(lx, 1) == '-')
			while (peek(lx, 0) >= 0 && peek(lx, 0) != '\n')
				advance(lx, 1);
		else if (c == '/' && peek(lx, 1) == '*')
			TM_TRY(skip_comment(lx, err));
		else
			return TM_OK;
	}
}

/* Length of the quoted run at `at` with its quotes; 0 when it is not closed. */
static size_t quoted_length(const struct lexer *lx, size_t ahead, bool raw)
{
	int quote = peek(lx, ahead);
	for (size_t i = ahead + 1;; i++) {
		int c = peek(lx, i);
		if (c < 0)
			return 0;
		if (c == '\\' && !raw && quote != '`') {
			i++;
		} else if (c == quote) {
			if (raw || peek(lx, i + 1) != quote)
				return i + 1 - ahead;
			i++;
		}
	}
}

/* Length of a number at `at`, or 0; the suffix is in it, *ret_digits is without. */
static size_t number_length(const struct lexer *lx, enum number_kind *ret_kind, size_t *ret_digits)
{
	size_t i = 0, whole, digits;
	enum number_kind kind = NUM_INTEGER;
	while (is_digit(peek(lx, i)))
		i++;
	whole = i;
	if (peek(lx, i) == '.' && (whole || is_digit(peek(lx, i + 1)))) {
		size_t j = i + 1;
		while (is_digit(peek(lx, j)))
			j++;
		kind = NUM_DECIMAL;
		i = j;
	}
	if (!i)
		return 0;
	if ((peek(lx, i) | 32) == 'e') {
		size_t j = i + 1;
		if (peek(lx, j) == '+' || peek(lx, j) == '-')
			j++;
		if (is_digit(peek(lx, j))) {
			while (is_digit(peek(lx, j)))
				j++;
			kind = NUM_EXPONENT;
			i = j;
		}
	}
	digits = i;
	switch (peek(lx, i) | 32) {
	case 'l':
		if (kind == NUM_INTEGER) {
			kind = NUM_BIGINT;
			i++;
		}
		break;
	case 's':
		if (kind == NUM_INTEGER) {
			kind = NUM_SMALLINT;
			i++;
		}
		break;
	case 'y':
		if (kind == NUM_INTEGER) {
			kind = NUM_TINYINT;
			i++;
		}
		break;
	case 'f':
		kind = NUM_FLOAT;
		i++;
		break;
	case 'd':
		kind = NUM_DOUBLE;
		i++;
		break;
	case 'b':
		if ((peek(lx, i + 1) | 32) == 'd') {
			kind = NUM_BIGDECIMAL;
			i += 2;
		}
		break;
	}
	/* "1.a" is 1 . a, and 1e5x is a word: a number with a point may not run into a letter. */
	if (peek(lx, i) >= 0 && is_word((unsigned char)peek(lx, i))) {
		if (i > whole && whole && peek(lx, whole) == '.') {
			*ret_kind = NUM_INTEGER;
			*ret_digits = whole;
			return whole;
		}
	}
	*ret_kind = kind;
	*ret_digits = digits;
	return i;
}

static struct tm_str undouble(struct tm_arena *arena, struct tm_str s, char quote)
{
	char *out = tm_arena_alloc(arena, s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		out[n++] = s.at[i];
		if (s.at[i] == quote)
			i++;
	}
	return tm_str_n(out, n);
}

static size_t sign_length(const struct lexer *lx)
{
	static const char *const signs[] = {"<=>", ">>>", "<=", ">=", "<>", "!=", "==", "||", "->",
					    "=>",  "::",  "<<", ">>", "|>", "!<", "!>", NULL};
	for (size_t i = 0; signs[i]; i++) {
		size_t n = strlen(signs[i]);
		if (lx->text.len - lx->at >= n && memcmp(lx->text.at + lx->at, signs[i], n) == 0)
			return n;
	}
	return 1;
}

static tm_rc next_token(struct lexer *lx, struct tm_arena *arena, struct token *t, struct tm_err *err)
{
	size_t start = lx->at, n;
	TM_TRY(skip_space(lx, err));
	*t = (struct token){.from = lx->at, .line = lx->line, .column = lx->column, .space_before = lx->at > start};
	const char *at = lx->text.at + lx->at;
	int c = peek(lx, 0);
	if (c < 0) {
		t->kind = TOK_END;
		t->to = lx->at;
		return TM_OK;
	}
	bool raw = (c | 32) == 'r' && (peek(lx, 1) == '\'' || peek(lx, 1) == '"');
	if (c == '\'' || c == '"' || raw) {
		n = quoted_length(lx, raw, raw);
		t->kind = n ? TOK_STRING : TOK_BAD;
		n = n ? n + raw : lx->text.len - lx->at;
		t->text = tm_str_n(at, n);
	} else if (c == '`') {
		n = quoted_length(lx, 0, false);
		t->kind = n ? TOK_QUOTED : TOK_BAD;
		t->text = n ? undouble(arena, tm_str_n(at + 1, n - 2), '`') : tm_str_n(at, 1);
		n = n ? n : lx->text.len - lx->at;
	} else if (is_digit(c) || (c == '.' && is_digit(peek(lx, 1))) || is_word((unsigned char)c)) {
		size_t word = 0, digits = 0, number;
		while (peek(lx, word) >= 0 && is_word((unsigned char)peek(lx, word)))
			word++;
		number = is_digit(c) || c == '.' ? number_length(lx, &t->number, &digits) : 0;
		t->kind = number && number >= word ? TOK_NUMBER : TOK_WORD;
		n = t->kind == TOK_NUMBER ? number : word;
		t->text = tm_str_n(at, t->kind == TOK_NUMBER ? digits : word);
	} else {
		n = sign_length(lx);
		t->kind = TOK_SIGN;
		t->text = tm_str_n(at, n);
	}
	advance(lx, n);
	t->to = lx->at;
	return TM_OK;
}

tm_rc tm_sql_lex(struct tm_arena *arena, struct tm_str text, size_t *offset, struct tokens *ret, struct tm_err *err)
{
	struct lexer lx = {text, 0, 1, 1};
	if (text.len > TM_LIMIT_SQL_BYTES)
		return tm_fail(err, TM_LIMIT, "the SQL text has %zu bytes; at most %zu are taken", text.len, TM_LIMIT_SQL_BYTES);
	advance(&lx, *offset);
	*ret = (struct tokens){0};
	for (;;) {
		struct token t;
		TM_TRY(next_token(&lx, arena, &t, err));
		bool end = t.kind == TOK_END;
		if (t.kind == TOK_SIGN && t.text.at[0] == ';') {
			t.kind = TOK_END;
			t.to = t.from;
			end = true;
		}
		if (t.kind == TOK_BAD) {
			tm_rc rc =
			    tm_fail_class(err, TM_SYNTAX, "PARSE_SYNTAX_ERROR", "42601", "Syntax error at or near '%.*s'.", 1, t.text.at);
			tm_err_detail(err, "the quote that starts here is not closed");
			tm_err_at(err, NULL, t.line, t.column);
			return rc;
		}
		TM_PUSH_IN(arena, ret, t);
		if (end)
			break;
	}
	*offset = lx.at;
	return TM_OK;
}

static int hex_digit(int c)
{
	if (is_digit(c))
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \uXXXX (digits 4) or \UXXXXXXXX (8): the code point, or -1. */
static int64_t unicode_escape(struct tm_str s, size_t at, size_t digits)
{
	int64_t cp = 0;
	if (at + digits > s.len)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		int h = hex_digit((unsigned char)s.at[at + i]);
		if (h < 0)
			return -1;
		cp = cp * 16 + h;
	}
	return cp;
}

static size_t put_escape(struct tm_str s, size_t *i, char *out)
{
	char c = s.at[*i];
	int64_t cp;
	switch (c) {
	case 'u':
	case 'U': {
		size_t digits = c == 'u' ? 4 : 8;
		cp = unicode_escape(s, *i + 1, digits);
		if (cp < 0 || cp > 0x10FFFF)
			break;
		*i += digits;
		if (cp >= 0xD800 && cp < 0xDC00 && *i + 2 < s.len && s.at[*i + 1] == '\\' && s.at[*i + 2] == 'u') {
			int64_t low = unicode_escape(s, *i + 3, 4);
			if (low >= 0xDC00 && low < 0xE000) {
				cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
				*i += 6;
			}
		}
		if (cp >= 0xD800 && cp < 0xE000)
			cp = '?';
		return tm_utf8_put((uint32_t)cp, out);
	}
	case '0':
	case '1':
		if (*i + 2 < s.len && s.at[*i + 1] >= '0' && s.at[*i + 1] <= '7' && s.at[*i + 2] >= '0' && s.at[*i + 2] <= '7') {
			cp = (c - '0') * 64 + (s.at[*i + 1] - '0') * 8 + (s.at[*i + 2] - '0');
			*i += 2;
			return tm_utf8_put((uint32_t)cp, out);
		}
		out[0] = c == '0' ? '\0' : c;
		return 1;
	case 'b':
		out[0] = '\b';
		return 1;
	case 'n':
		out[0] = '\n';
		return 1;
	case 'r':
		out[0] = '\r';
		return 1;
	case 't':
		out[0] = '\t';
		return 1;
	case 'Z':
		out[0] = '\x1A';
		return 1;
	case '%':
	case '_':
		out[0] = '\\';
		out[1] = c;
		return 2;
	default:
		break;
	}
	out[0] = c;
	return 1;
}

struct tm_str tm_sql_unquote(struct tm_arena *arena, struct tm_str literal)
{
	bool raw = (literal.at[0] | 32) == 'r';
	char quote = literal.at[raw];
	struct tm_str s = tm_str_slice(literal, (size_t)raw + 1, literal.len - 1);
	if (raw)
		return s;
	char *out = tm_arena_alloc(arena, s.len * 2 + 4);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '\\' && i + 1 < s.len) {
			i++;
			n += put_escape(s, &i, out + n);
		} else {
			if (s.at[i] == quote)
				i++;
			out[n++] = s.at[i < s.len ? i : s.len - 1];
		}
	}
	return tm_str_n(out, n);
}
