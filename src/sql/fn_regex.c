/* Regular expressions: java.util.regex on PCRE2. Patterns are translated where the two differ in spelling; what PCRE2 has no
 * word for is refused by name: intersections of character classes are rewritten as look-aheads where they are simple,
 * \N{…}, \b{g} and \X-in-class are not taken. Match and recursion limits bound the time of hostile patterns. */
#include "sql/fn_list.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <unicode/ucasemap.h>

/* ---- translation ---- */
struct translation {
	struct tm_str in;
	struct tm_buf out;
	size_t at;
	bool unicode_case;
};
static char peek(const struct translation *t, size_t ahead) { return t->at + ahead < t->in.len ? t->in.at[t->at + ahead] : 0; }

/* \p{IsAlphabetic}, \p{Lower}, \p{javaLowerCase}, \p{L}: Java's names for PCRE2's. */
static bool property(struct translation *t)
{
	static const struct {
		const char *java, *pcre, *in_class;
	} names[] = {{"Lower", "[a-z]", "a-z"},
		     {"Upper", "[A-Z]", "A-Z"},
		     {"ASCII", "[\\x00-\\x7f]", "\\x00-\\x7f"},
		     {"Alpha", "[a-zA-Z]", "a-zA-Z"},
		     {"Digit", "[0-9]", "0-9"},
		     {"Alnum", "[a-zA-Z0-9]", "a-zA-Z0-9"},
		     {"Punct", "[!-\\/:-@\\[-`{-~]", "!-\\/:-@\\[-`{-~"},
		     {"Graph", "[!-~]", "!-~"},
		     {"Print", "[ -~]", " -~"},
		     {"Blank", "[ \\t]", " \\t"},
		     {"Cntrl", "[\\x00-\\x1f\\x7f]", "\\x00-\\x1f\\x7f"},
		     {"XDigit", "[0-9a-fA-F]", "0-9a-fA-F"},
		     {"Space", "[ \\t\\n\\x0b\\f\\r]", " \\t\\n\\x0b\\f\\r"},
		     {"IsAlphabetic", "\\p{L}", "\\p{L}"},
		     {"IsLetter", "\\p{L}", "\\p{L}"},
		     {"IsDigit", "\\p{Nd}", "\\p{Nd}"},
		     {"IsLowercase", "\\p{Ll}", "\\p{Ll}"},
		     {"IsUppercase", "\\p{Lu}", "\\p{Lu}"},
		     {"IsPunctuation", "\\p{P}", "\\p{P}"},
		     {"IsWhite_Space", "\\s", "\\s"},
		     {"IsWhiteSpace", "\\s", "\\s"},
		     {"javaLowerCase", "\\p{Ll}", "\\p{Ll}"},
		     {"javaUpperCase", "\\p{Lu}", "\\p{Lu}"},
		     {"javaWhitespace", "\\s", "\\s"}};
	bool negated = t->in.at[t->at + 1] == 'P';
	if (peek(t, 2) != '{')
		return false;
	size_t end = t->at + 3;
	while (end < t->in.len && t->in.at[end] != '}')
		end++;
	if (end >= t->in.len)
		return false;
	struct tm_str name = tm_str_slice(t->in, t->at + 3, end);
	t->at = end + 1;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (tm_str_is(name, names[i].java)) {
			if (names[i].pcre[0] != '[') {
				if (negated && names[i].pcre[1] == 'p')
					tm_buf_printf(&t->out, "\\P%s", names[i].pcre + 2);
				else
					tm_buf_cstr_put(&t->out, negated ? "\\S" : names[i].pcre);
			} else if (negated) {
				tm_buf_printf(&t->out, "[^%s]", names[i].in_class);
			} else {
				tm_buf_cstr_put(&t->out, names[i].pcre);
			}
			return true;
		}
	if (tm_str_starts(name, TM_STR("Is")) || tm_str_starts(name, TM_STR("In")))
		name = tm_str_slice(name, 2, name.len);
	if (tm_str_starts(name, TM_STR("script=")) || tm_str_starts(name, TM_STR("sc=")))
		name = tm_str_slice(name, tm_str_find(name, TM_STR("="), 0) + 1, name.len);
	tm_buf_printf(&t->out, "\\%c{%.*s}", negated ? 'P' : 'p', TM_STR_ARG(name));
	return true;
}

static void hex_escape(struct translation *t) /* \uXXXX */
{
	tm_buf_cstr_put(&t->out, "\\x{");
	t->at += 2;
	for (int i = 0; i < 4 && t->at < t->in.len; i++)
		tm_buf_char(&t->out, t->in.at[t->at++]);
	tm_buf_char(&t->out, '}');
}

static void escape(struct translation *t, bool in_class)
{
	char c = peek(t, 1);
	if ((c == 'p' || c == 'P') && !in_class && property(t))
		return;
	if (c == 'u') {
		hex_escape(t);
		return;
	}
	if (c == 'Z') { /* before a last line end */
		tm_buf_cstr_put(&t->out, "\\Z");
		t->at += 2;
		return;
	}
	if (c == 'h' || c == 'R' || c == 'v' || c == 'V' || c == 'H') {
		tm_buf_put(&t->out, t->in.at + t->at, 2);
		t->at += 2;
		return;
	}
	if (c == 'Q') { /* \Q…\E */
		size_t end = tm_str_find(t->in, TM_STR("\\E"), t->at);
		size_t stop = end == SIZE_MAX ? t->in.len : end;
		for (size_t i = t->at + 2; i < stop; i++) {
			if (strchr("\\^$.|?*+()[]{}-#&~", t->in.at[i]))
				tm_buf_char(&t->out, '\\');
			tm_buf_char(&t->out, t->in.at[i]);
		}
		t->at = end == SIZE_MAX ? t->in.len : end + 2;
		return;
	}
	tm_buf_char(&t->out, '\\');
	if (c)
		tm_buf_char(&t->out, c);
	t->at += c ? 2 : 1;
}

/* A class from [ to its ], nested classes as unions, && as look-ahead: [a&&[^b]] becomes (?:(?=[a])[^b]). */
static bool class(struct translation *t);
static bool class_body(struct translation *t, bool *ret_intersects)
{
	struct tm_buf saved = t->out, plain = {0}, nested = {0};
	bool negated = false, ok = true;
	t->out = (struct tm_buf){0};
	t->at++;
	if (peek(t, 0) == '^') {
		negated = true;
		t->at++;
	}
	size_t start = t->at;
	bool first = true, intersects = false;
	struct tm_buf left = {0};
	while (ok && t->at < t->in.len && (peek(t, 0) != ']' || (first && t->at == start && false))) {
		first = false;
		if (peek(t, 0) == '&' && peek(t, 1) == '&') {
			/* what stands before and what comes after must both match */
			t->at += 2;
			tm_buf_printf(&left, "(?=");
			if (nested.len && plain.len)
				tm_buf_printf(&left, "(?:[%.*s]|%.*s)", (int)plain.len, plain.at, (int)nested.len, nested.at);
			else if (nested.len)
				tm_buf_printf(&left, "(?:%.*s)", (int)nested.len, nested.at);
			else
				tm_buf_printf(&left, "[%.*s]", (int)plain.len, plain.at ? plain.at : "");
			tm_buf_char(&left, ')');
			plain.len = nested.len = 0;
			intersects = true;
			continue;
		}
		if (peek(t, 0) == '[') {
			t->out.len = 0;
			ok = class(t);
			if (nested.len)
				tm_buf_char(&nested, '|');
			tm_buf_put(&nested, t->out.at, t->out.len);
			t->out.len = 0;
			continue;
		}
		if (peek(t, 0) == '\\') {
			t->out.len = 0;
			size_t before = t->at;
			char c = peek(t, 1);
			if ((c == 'p' || c == 'P') && property(t)) {
				if (t->out.len && t->out.at[0] == '[') { /* an ASCII class: its inside */
					if (t->out.at[1] == '^') {
						if (nested.len)
							tm_buf_char(&nested, '|');
						tm_buf_put(&nested, t->out.at, t->out.len);
					} else {
						tm_buf_put(&plain, t->out.at + 1, t->out.len - 2);
					}
				} else {
					tm_buf_put(&plain, t->out.at, t->out.len);
				}
			} else {
				t->at = before;
				t->out.len = 0;
				escape(t, true);
				tm_buf_put(&plain, t->out.at, t->out.len);
			}
			t->out.len = 0;
			continue;
		}
		tm_buf_char(&plain, t->in.at[t->at++]);
	}
	ok = ok && t->at < t->in.len;
	t->at++;
	struct tm_buf inner = t->out;
	t->out = saved;
	if (intersects || nested.len) {
		tm_buf_cstr_put(&t->out, negated ? "(?:(?!" : "(?:");
		tm_buf_put(&t->out, left.at, left.len);
		if (plain.len && nested.len)
			tm_buf_printf(&t->out, "(?:[%.*s]|%.*s)", (int)plain.len, plain.at, (int)nested.len, nested.at);
		else if (nested.len)
			tm_buf_printf(&t->out, "(?:%.*s)", (int)nested.len, nested.at);
		else
			tm_buf_printf(&t->out, "[%.*s]", (int)plain.len, plain.at ? plain.at : "");
		tm_buf_cstr_put(&t->out, negated ? ")[\\s\\S])" : ")");
	} else {
		tm_buf_printf(&t->out, negated ? "[^" : "[");
		tm_buf_put(&t->out, plain.at, plain.len);
		tm_buf_char(&t->out, ']');
	}
	*ret_intersects = intersects;
	tm_buf_done(&inner);
	tm_buf_done(&plain);
	tm_buf_done(&nested);
	tm_buf_done(&left);
	return ok;
}
static bool class(struct translation *t)
{
	bool intersects;
	return class_body(t, &intersects);
}

static bool translate(struct tm_str java, struct tm_buf *ret, uint32_t *io_options)
{
	struct translation t = {.in = java};
	bool ok = true;
	while (ok && t.at < java.len) {
		char c = java.at[t.at];
		if (c == '\\') {
			escape(&t, false);
		} else if (c == '[') {
			ok = class(&t);
		} else if (c == '(' && peek(&t, 1) == '?' &&
			   (peek(&t, 2) == '-' || (peek(&t, 2) >= 'a' && peek(&t, 2) <= 'z') || peek(&t, 2) == 'U')) {
			/* (?iu-s) and (?i:…): u and d, U have no letter in PCRE2 */
			tm_buf_cstr_put(&t.out, "(?");
			t.at += 2;
			bool none = true, off = false;
			for (; t.at < java.len && java.at[t.at] != ')' && java.at[t.at] != ':' && java.at[t.at] != '<' &&
			       java.at[t.at] != 'P';
			     t.at++) {
				char f = java.at[t.at];
				if (f == 'u' || f == 'U') {
					*io_options |= PCRE2_UCP;
					continue;
				}
				if (f == 'd')
					continue;
				off |= f == '-';
				tm_buf_char(&t.out, f);
				none = false;
			}
			if (none && t.at < java.len && java.at[t.at] == ')') {
				t.out.len -= 2;
				t.at++;
			}
			(void)off;
		} else {
			tm_buf_char(&t.out, c);
			t.at++;
		}
	}
	*ret = t.out;
	return ok;
}

/* ---- compiled patterns ---- one per kernel call and pattern text */
struct regex {
	struct tm_str text;
	pcre2_code *code;
	pcre2_match_data *match;
	uint32_t groups;
};
static void regex_done(struct regex *r)
{
	pcre2_code_free(r->code);
	pcre2_match_data_free(r->match);
	*r = (struct regex){0};
}
static pcre2_match_context *limits;
__attribute__((constructor)) static void make_limits(void)
{
	limits = pcre2_match_context_create(NULL);
	if (limits) {
		pcre2_set_match_limit(limits, 10000000);
		pcre2_set_depth_limit(limits, 250000);
	}
}

static tm_rc regex_for(struct tm_eval *ev, struct tm_str text, const char *function, struct regex *r)
{
	if (r->code && tm_str_eq(r->text, text))
		return TM_OK;
	struct tm_buf pcre = {0};
	uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY * 0;
	int code = 0;
	PCRE2_SIZE where;
	regex_done(r);
	bool ok = text.len < 65536 && translate(text, &pcre, &options);
	if (ok)
		r->code = pcre2_compile((PCRE2_SPTR)(pcre.at ? pcre.at : ""), pcre.len, options, &code, &where, NULL);
	tm_buf_done(&pcre);
	if (!r->code)
		return tm_fail_class(ev->err, TM_DATA, "INVALID_PARAMETER_VALUE.PATTERN", "22023",
				     "The value of parameter(s) `regexp` in `%s` is invalid: '%.*s'.", function, TM_STR_ARG(text));
	pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE);
	r->match = pcre2_match_data_create_from_pattern(r->code, NULL);
	pcre2_pattern_info(r->code, PCRE2_INFO_CAPTURECOUNT, &r->groups);
	r->text = text;
	return TM_OK;
}

/* *ret_hit; positions by group(). */
static tm_rc find(struct tm_eval *ev, struct regex *r, struct tm_str s, size_t from, bool *ret_hit)
{
	int rc = pcre2_match(r->code, (PCRE2_SPTR)(s.at ? s.at : ""), s.len, from, 0, r->match, limits);
	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		return tm_fail(ev->err, TM_LIMIT, "the regular expression '%.*s' takes too long on one value", TM_STR_ARG(r->text));
	*ret_hit = rc >= 0;
	return TM_OK;
}
static bool group(const struct regex *r, uint32_t n, size_t *from, size_t *to)
{
	const PCRE2_SIZE *o = pcre2_get_ovector_pointer(r->match);
	if (n > r->groups || o[2 * n] == PCRE2_UNSET)
		return false;
	*from = o[2 * n];
	*to = o[2 * n + 1];
	return true;
}
/* Where to look on after a match; an empty one moves by a character. */
static size_t step(const struct regex *r, struct tm_str s)
{
	size_t from = 0, to = 0;
	group(r, 0, &from, &to);
	if (to > from)
		return to;
	to++;
	while (to < s.len && (s.at[to] & 0xC0) == 0x80)
		to++;
	return to;
}
#define TRY_DONE(expr)                                                                                                                     \
	do {                                                                                                                               \
		tm_rc rc_ = (expr);                                                                                                        \
		if (rc_ != TM_OK) {                                                                                                        \
			regex_done(&x);                                                                                                    \
			return rc_;                                                                                                        \
		}                                                                                                                          \
	} while (0)

KERNEL(rlike)
{
	struct regex x = {0};
	bool hit;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		TRY_DONE(regex_for(ev, STR_AT(1, i), "regexp_like", &x));
		TRY_DONE(find(ev, &x, STR_AT(0, i), 0, &hit));
		ret->boolean[i] = hit;
	}
	regex_done(&x);
	return TM_OK;
}

static tm_rc check_group(struct tm_eval *ev, const struct regex *x, int64_t n, const char *function)
{
	if (n >= 0 && n <= x->groups)
		return TM_OK;
	return fn_bad_parameter(ev, "REGEX_GROUP_INDEX", "`idx` in `%s` is invalid: Expects group index between 0 and %u, but got %lld.",
				function, x->groups, (long long)n);
}
KERNEL(regexp_extract)
{
	struct regex x = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		int32_t n = call->arg_count > 2 ? AT(2, i32, i) : 1;
		size_t from, to;
		bool hit;
		TRY_DONE(regex_for(ev, STR_AT(1, i), "regexp_extract", &x));
		TRY_DONE(find(ev, &x, s, 0, &hit));
		ret->str[i] = tm_str_n("", 0);
		if (!hit)
			continue;
		TRY_DONE(check_group(ev, &x, n, "regexp_extract"));
		if (group(&x, (uint32_t)n, &from, &to))
			ret->str[i] = tm_str_slice(s, from, to);
	}
	regex_done(&x);
	return TM_OK;
}
KERNEL(regexp_extract_all)
{
	struct regex x = {0};
	struct fn_strings all = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		int32_t n = call->arg_count > 2 ? AT(2, i32, i) : 1;
		TRY_DONE(regex_for(ev, STR_AT(1, i), "regexp_extract_all", &x));
		ret->span[i].from = (uint32_t)all.count;
		for (size_t at = 0; at <= s.len; at = step(&x, s)) {
			bool hit;
			size_t from, to;
			TRY_DONE(find(ev, &x, s, at, &hit));
			if (!hit)
				break;
			TRY_DONE(check_group(ev, &x, n, "regexp_extract_all"));
			TM_PUSH_IN(ev->arena, &all, group(&x, (uint32_t)n, &from, &to) ? tm_str_slice(s, from, to) : tm_str_n("", 0));
		}
		ret->span[i].count = (uint32_t)all.count - ret->span[i].from;
	}
	regex_done(&x);
	fn_strings_set(ev, ret, &all);
	return TM_OK;
}

/* Matcher.appendReplacement: $1, ${name}, \x. */
static tm_rc replacement(struct tm_eval *ev, const struct regex *x, struct tm_str s, struct tm_str with, struct tm_buf *out)
{
	for (size_t j = 0; j < with.len; j++) {
		char c = with.at[j];
		if (c == '\\' && j + 1 < with.len) {
			tm_buf_char(out, with.at[++j]);
		} else if (c == '$' && j + 1 < with.len && with.at[j + 1] == '{') {
			size_t end = tm_str_find(with, TM_STR("}"), j);
			char name[64];
			struct tm_str n = tm_str_slice(with, j + 2, end == SIZE_MAX ? j + 2 : end);
			if (n.len == 0 || n.len >= sizeof name)
				return tm_fail(ev->err, TM_DATA, "named capturing group is missing trailing '}'");
			memcpy(name, n.at, n.len);
			name[n.len] = 0;
			int g = pcre2_substring_number_from_name(x->code, (PCRE2_SPTR)name);
			size_t from, to;
			if (g < 0)
				return tm_fail(ev->err, TM_DATA, "No group with name {%s}", name);
			if (group(x, (uint32_t)g, &from, &to))
				tm_buf_put(out, s.at + from, to - from);
			j = end;
		} else if (c == '$') {
			if (j + 1 >= with.len || with.at[j + 1] < '0' || with.at[j + 1] > '9')
				return tm_fail(ev->err, TM_DATA, "Illegal group reference");
			uint32_t g = (uint32_t)(with.at[++j] - '0');
			if (g > x->groups)
				return tm_fail(ev->err, TM_DATA, "No group %u", g);
			while (j + 1 < with.len && with.at[j + 1] >= '0' && with.at[j + 1] <= '9' &&
			       g * 10 + (uint32_t)(with.at[j + 1] - '0') <= x->groups)
				g = g * 10 + (uint32_t)(with.at[++j] - '0');
			size_t from, to;
			if (group(x, g, &from, &to))
				tm_buf_put(out, s.at + from, to - from);
		} else {
			tm_buf_char(out, c);
		}
	}
	return TM_OK;
}
static tm_rc replace_all(struct tm_eval *ev, struct regex *x, struct tm_str s, struct tm_str with, size_t start, struct tm_buf *out)
{
	size_t copied = 0;
	for (size_t at = start; at <= s.len; at = step(x, s)) {
		bool hit;
		size_t from = 0, to = 0;
		TM_TRY(find(ev, x, s, at, &hit));
		if (!hit)
			break;
		group(x, 0, &from, &to);
		tm_buf_put(out, s.at + copied, from - copied);
		copied = to;
		TM_TRY(replacement(ev, x, s, with, out));
		TM_TRY(fn_text_limit(ev, out));
	}
	tm_buf_put(out, s.at + copied, s.len - copied);
	return TM_OK;
}
KERNEL(regexp_replace)
{
	struct regex x = {0};
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		int32_t pos = call->arg_count > 3 ? AT(3, i32, i) : 1;
		size_t start = 0;
		for (int32_t p = 1; p < pos && start < s.len; p++)
			for (start++; start < s.len && (s.at[start] & 0xC0) == 0x80; start++)
				;
		rc = regex_for(ev, STR_AT(1, i), "regexp_replace", &x);
		if (rc == TM_OK && (rc = replace_all(ev, &x, s, STR_AT(2, i), start, &b)) == TM_DATA)
			rc = tm_fail_class(ev->err, TM_DATA, "INVALID_REGEXP_REPLACE", "22023",
					   "Could not perform regexp_replace for source = \"%.*s\", pattern = \"%.*s\", "
					   "replacement = \"%.*s\" and position = %d.",
					   TM_STR_ARG(s), TM_STR_ARG(STR_AT(1, i)), TM_STR_ARG(STR_AT(2, i)), pos);
		if (rc != TM_OK)
			break;
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	regex_done(&x);
	return rc;
}
static size_t chars(struct tm_str s, size_t to)
{
	size_t n = 0;
	for (size_t i = 0; i < to && i < s.len; i++)
		n += (s.at[i] & 0xC0) != 0x80;
	return n;
}
KERNEL(regexp_count)
{
	struct regex x = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		ret->i32[i] = 0;
		TRY_DONE(regex_for(ev, STR_AT(1, i), "regexp_count", &x));
		for (size_t at = 0; at <= s.len; at = step(&x, s)) {
			bool hit;
			TRY_DONE(find(ev, &x, s, at, &hit));
			if (!hit)
				break;
			ret->i32[i]++;
		}
	}
	regex_done(&x);
	return TM_OK;
}
KERNEL(regexp_substr)
{
	struct regex x = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		bool hit;
		size_t from, to;
		TRY_DONE(regex_for(ev, STR_AT(1, i), "regexp_substr", &x));
		TRY_DONE(find(ev, &x, STR_AT(0, i), 0, &hit));
		if (hit && group(&x, 0, &from, &to) && to > from)
			ret->str[i] = tm_str_slice(STR_AT(0, i), from, to);
		else
			fn_null(ev, ret, i);
	}
	regex_done(&x);
	return TM_OK;
}
KERNEL(regexp_instr)
{
	struct regex x = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		bool hit;
		size_t from = 0, to;
		TRY_DONE(regex_for(ev, STR_AT(1, i), "regexp_instr", &x));
		TRY_DONE(find(ev, &x, STR_AT(0, i), 0, &hit));
		ret->i32[i] = hit && group(&x, 0, &from, &to) ? (int32_t)chars(STR_AT(0, i), from) + 1 : 0;
	}
	regex_done(&x);
	return TM_OK;
}
/* split(text, regex [, limit]): String.split */
KERNEL(split)
{
	struct regex x = {0};
	struct fn_strings all = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), re = STR_AT(1, i);
		int32_t limit = call->arg_count > 2 ? AT(2, i32, i) : -1;
		size_t start = 0, first = all.count;
		TRY_DONE(regex_for(ev, re, "split", &x));
		ret->span[i].from = (uint32_t)first;
		for (size_t at = 0; at <= s.len && (limit <= 0 || all.count - first + 1 < (size_t)limit); at = step(&x, s)) {
			bool hit;
			size_t from = 0, to = 0;
			TRY_DONE(find(ev, &x, s, at, &hit));
			if (!hit)
				break;
			group(&x, 0, &from, &to);
			if (to == 0 || (from == to && from >= s.len))
				continue; /* an empty match at the start or at the end splits nothing */
			TM_PUSH_IN(ev->arena, &all, tm_str_slice(s, start, from));
			start = to;
		}
		TM_PUSH_IN(ev->arena, &all, tm_str_slice(s, start, s.len));
		ret->span[i].count = (uint32_t)(all.count - first);
	}
	regex_done(&x);
	fn_strings_set(ev, ret, &all);
	return TM_OK;
}

/* str_to_map(text [, pairs' regex [, key's regex]]) */
KERNEL(str_to_map)
{
	struct regex pairs = {0}, x = {0};
	struct tm_column keys, values;
	struct fn_strings k = {0}, v = {0};
	struct {
		bool *items;
		size_t count, cap;
	} has = {0};
	struct fn_index index = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		rc = regex_for(ev, call->arg_count > 1 ? STR_AT(1, i) : TM_STR(","), "str_to_map", &pairs);
		if (rc == TM_OK)
			rc = regex_for(ev, call->arg_count > 2 ? STR_AT(2, i) : TM_STR(":"), "str_to_map", &x);
		ret->span[i].from = (uint32_t)k.count;
		for (size_t start = 0, at = 0; rc == TM_OK && start != SIZE_MAX;) {
			bool hit = false, inner = false;
			size_t from = s.len, to = s.len, a = 0, b = 0;
			rc = find(ev, &pairs, s, at, &hit);
			if (hit)
				group(&pairs, 0, &from, &to);
			if (hit && to == from && from < s.len) {
				at = step(&pairs, s);
				if (from == 0)
					continue;
			} else {
				at = to;
			}
			struct tm_str part = tm_str_slice(s, start, from);
			if (rc == TM_OK)
				rc = find(ev, &x, part, 0, &inner);
			if (inner)
				group(&x, 0, &a, &b);
			TM_PUSH_IN(ev->arena, &k, inner ? tm_str_slice(part, 0, a) : part);
			TM_PUSH_IN(ev->arena, &v, inner ? tm_str_slice(part, b, part.len) : tm_str_n("", 0));
			TM_PUSH_IN(ev->arena, &has, inner);
			fn_index_add(ev, &index, (uint32_t)index.count);
			start = hit && !(to == from && from >= s.len) ? to : SIZE_MAX;
		}
		ret->span[i].count = (uint32_t)k.count - ret->span[i].from;
		if (rc != TM_OK)
			break;
	}
	regex_done(&pairs);
	regex_done(&x);
	TM_TRY(rc);
	tm_column_init(&keys, ev->arena, &tm_type_string, k.count);
	tm_column_init(&values, ev->arena, &tm_type_string, k.count);
	for (size_t j = 0; j < k.count; j++) {
		keys.str[j] = k.items[j];
		values.str[j] = v.items[j];
		if (!has.items[j])
			fn_null(ev, &values, j);
	}
	return fn_map_set(ev, ret, &keys, &values, &index, &index);
}
BIND(str_to_map)
{
	for (size_t i = 0; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, &tm_type_string, err));
	return fn_is(b, &tm_k_str_to_map, tm_type_map(b->arena, &tm_type_string, &tm_type_string, true), fn_any_nullable(b));
}

/* ---- LIKE ---- % any characters, _ one; the escape character (third argument, \ where missing) takes the next literally */
static size_t char_len(unsigned char c)
{
	return c < 0x80 ? 1 : c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 1;
}
static bool like(struct tm_str s, struct tm_str p, char escape_char)
{
	size_t i = 0, j = 0, star = SIZE_MAX, mark = 0;
	while (i < s.len) {
		bool wild = j < p.len && p.at[j] != escape_char;
		if (wild && p.at[j] == '%') {
			star = j++;
			mark = i;
			continue;
		}
		if (wild && p.at[j] == '_') {
			i += char_len((unsigned char)s.at[i]);
			j++;
			continue;
		}
		size_t lit = j < p.len && p.at[j] == escape_char && j + 1 < p.len ? j + 1 : j;
		if (lit < p.len && p.at[lit] == s.at[i]) {
			i++;
			j = lit + 1;
			continue;
		}
		if (star == SIZE_MAX)
			return false;
		mark += char_len((unsigned char)s.at[mark]);
		i = mark;
		j = star + 1;
	}
	while (j < p.len && p.at[j] == '%' && escape_char != '%')
		j++;
	return i <= s.len && j == p.len;
}
static bool like_pattern_ok(struct tm_str p, char escape_char)
{
	for (size_t j = 0; j < p.len; j++)
		if (p.at[j] == escape_char) {
			j++;
			if (j >= p.len || (p.at[j] != '%' && p.at[j] != '_' && p.at[j] != escape_char))
				return false;
		}
	return true;
}
static struct tm_str lower_of(struct tm_eval *ev, struct tm_str s);
static tm_rc like_rows(FN_EVAL_ARGS, bool fold)
{
	struct tm_str checked = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), p = STR_AT(1, i);
		char esc = call->arg_count > 2 && STR_AT(2, i).len ? STR_AT(2, i).at[0] : '\\';
		if (!checked.at || !tm_str_eq(checked, p)) {
			if (!like_pattern_ok(p, esc))
				return tm_fail_class(
				    ev->err, TM_DATA,
				    p.len && p.at[p.len - 1] == esc ? "INVALID_FORMAT.ESC_AT_THE_END" : "INVALID_FORMAT.ESC_IN_THE_MIDDLE",
				    "42601", "The format is invalid: '%.*s'. The escape character is not allowed there.", TM_STR_ARG(p));
			checked = p;
		}
		ret->boolean[i] = fold ? like(lower_of(ev, s), lower_of(ev, p), esc) : like(s, p, esc);
	}
	return TM_OK;
}
KERNEL(like) { return like_rows(ev, call, args, ret, false); }
KERNEL(ilike) { return like_rows(ev, call, args, ret, true); }

static struct tm_str lower_of(struct tm_eval *ev, struct tm_str s)
{
	UErrorCode status = U_ZERO_ERROR;
	UCaseMap *map = ucasemap_open("", 0, &status);
	char *out = tm_arena_alloc(ev->arena, s.len * 3 + 16);
	int32_t n = ucasemap_utf8ToLower(map, out, (int32_t)s.len * 3 + 16, s.at ? s.at : "", (int32_t)s.len, &status);
	ucasemap_close(map);
	return U_SUCCESS(status) ? tm_str_n(out, (size_t)n) : s;
}
