/* Strings: encodings, distances, masks, formats and other single functions. */
#include "sql/fn_list.h"
#include "sql/value_text.h"
#include <ctype.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unicode/uchar.h>

/* ---- base64 ---- */
KERNEL(base64)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		char *out = tm_arena_alloc(ev->arena, (s.len + 2) / 3 * 4 + 1);
		ret->str[i] = tm_str_n(out, (size_t)EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)s.at, (int)s.len));
	}
	return TM_OK;
}
static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}
/* Java's MIME decoder: what is no digit is skipped. strict: it is an error, and so is a length that does not fit. */
static bool unbase64(struct tm_eval *ev, struct tm_str s, bool strict, struct tm_str *ret)
{
	char *out = tm_arena_alloc(ev->arena, s.len + 3);
	size_t n = 0, digits = 0;
	uint32_t bits = 0;
	for (size_t i = 0; i < s.len && s.at[i] != '='; i++) {
		int d = base64_digit(s.at[i]);
		if (d < 0 && strict && !isspace((unsigned char)s.at[i]))
			return false;
		if (d < 0)
			continue;
		bits = bits << 6 | (uint32_t)d;
		if (++digits % 4 == 0) {
			out[n++] = (char)(bits >> 16);
			out[n++] = (char)(bits >> 8);
			out[n++] = (char)bits;
		}
	}
	if (digits % 4 == 2)
		out[n++] = (char)(bits >> 4);
	if (digits % 4 == 3) {
		out[n++] = (char)(bits >> 10);
		out[n++] = (char)(bits >> 2);
	}
	*ret = tm_str_n(out, n);
	return digits % 4 != 1;
}
KERNEL(unbase64)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	if (!unbase64(ev, STR_AT(0, i), false, &ret->str[i]))
		return tm_fail(ev->err, TM_DATA, "Last unit does not have enough valid bits");
	return TM_OK;
}
/* to_binary(text [, format]): hex (the default), utf-8, base64 */
KERNEL(to_binary)
{
	bool try_form = call->bound != NULL;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), f = call->arg_count > 1 ? STR_AT(1, i) : TM_STR("hex");
		bool ok = true;
		if (tm_str_iis(f, "hex"))
			ok = fn_unhex(ev, s, &ret->str[i]);
		else if (tm_str_iis(f, "base64"))
			ok = unbase64(ev, s, true, &ret->str[i]);
		else if (tm_str_iis(f, "utf-8") || tm_str_iis(f, "utf8"))
			ret->str[i] = s;
		else
			return tm_fail_class(ev->err, TM_INVALID, "DATATYPE_MISMATCH.INVALID_ARG_VALUE", "42K09",
					     "The `fmt` value must to be a case-insensitive \"STRING\" literal of 'hex', 'utf-8', 'utf8', "
					     "or 'base64', but got '%.*s'.",
					     TM_STR_ARG(f));
		if (ok)
			continue;
		if (!try_form)
			return tm_fail_class(ev->err, TM_DATA, "CONVERSION_INVALID_INPUT", "22018",
					     "The value '%.*s' ('%s') cannot be converted to \"BINARY\" because it is malformed. Correct "
					     "the value as per the syntax, or change its format. Use "
					     "`try_to_binary` to tolerate malformed input and return NULL instead.",
					     TM_STR_ARG(s), tm_str_iis(f, "hex") ? "HEX" : "BASE64");
		fn_null(ev, ret, i);
	}
	return TM_OK;
}
BIND(to_binary)
{
	for (size_t i = 0; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, &tm_type_string, err));
	b->bound = fn_variant(b) ? "" : NULL;
	return fn_is(b, &tm_k_to_binary, &tm_type_binary, true);
}

/* ---- characters ---- */
KERNEL(ascii)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		const char *at = s.at;
		ret->i32[i] = s.len ? (int32_t)tm_utf8_next(&at, s.at + s.len) : 0;
	}
	return TM_OK;
}
KERNEL(chr)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int64_t n = AT(0, i64, i);
		char text[4];
		ret->str[i] = n < 0 ? tm_str_n("", 0) : fn_copy(ev, text, tm_utf8_put((uint32_t)(n & 0xFF), text));
	}
	return TM_OK;
}
KERNEL(soundex)
{
	static const char codes[] = "01230127022455012623017202";
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		if (s.len == 0 || !isalpha((unsigned char)s.at[0])) {
			ret->str[i] = s;
			continue;
		}
		char out[4] = {(char)toupper((unsigned char)s.at[0]), '0', '0', '0'};
		char last = codes[out[0] - 'A'];
		int n = 1;
		for (size_t j = 1; j < s.len && n < 4; j++) {
			if (!isalpha((unsigned char)s.at[j])) {
				last = '0';
				continue;
			}
			char code = codes[toupper((unsigned char)s.at[j]) - 'A'];
			if (code == '7') /* h and w do not part equal codes */
				continue;
			if (code != '0' && code != last)
				out[n++] = code;
			last = code;
		}
		ret->str[i] = fn_copy(ev, out, 4);
	}
	return TM_OK;
}
/* Words of sentences: a sentence ends with . ! ? followed by a blank or the end. */
KERNEL(sentences)
{
	struct fn_strings words = {0};
	struct {
		struct tm_span *items;
		size_t count, cap;
	} inner = {0};
	fn_begin_some(ev, call, args, 1, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		size_t first = inner.count, from = words.count, start = SIZE_MAX;
		for (size_t at = 0; at <= s.len;) {
			const char *p = s.at + at;
			uint32_t c = at < s.len ? tm_utf8_next(&p, s.at + s.len) : 0;
			bool letter =
			    at < s.len && (u_isalnum((UChar32)c) || c == '\'' || c == '_' || u_charType((UChar32)c) == U_NON_SPACING_MARK);
			if (letter && start == SIZE_MAX)
				start = at;
			if (!letter && start != SIZE_MAX) {
				TM_PUSH_IN(ev->arena, &words, tm_str_slice(s, start, at));
				start = SIZE_MAX;
			}
			size_t next = at < s.len ? (size_t)(p - s.at) : s.len + 1;
			bool end =
			    at >= s.len || ((c == '.' || c == '!' || c == '?') && (next >= s.len || isspace((unsigned char)s.at[next])));
			if (end && words.count > from) {
				TM_PUSH_IN(ev->arena, &inner, (struct tm_span){(uint32_t)from, (uint32_t)(words.count - from)});
				from = words.count;
			}
			at = next;
		}
		ret->span[i] = (struct tm_span){(uint32_t)first, (uint32_t)(inner.count - first)};
	}
	ret->children = TM_NEW(ev->arena, struct tm_column);
	struct tm_column *list = &ret->children[0];
	tm_column_init(list, ev->arena, call->type->children[0], inner.count);
	if (inner.count)
		memcpy(list->span, inner.items, inner.count * sizeof *inner.items);
	fn_strings_set(ev, list, &words);
	return TM_OK;
}
BIND(sentences)
{
	for (size_t i = 0; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, &tm_type_string, err));
	return fn_is(b, &tm_k_sentences, tm_type_array(b->arena, tm_type_array(b->arena, &tm_type_string, false), false),
		     fn_any_nullable(b));
}

/* ---- distance ---- over code points, by rows; a limit gives -1 beyond it */
static size_t decode(struct tm_eval *ev, struct tm_str s, uint32_t **ret)
{
	uint32_t *out = tm_arena_alloc(ev->arena, (s.len + 1) * sizeof *out);
	size_t n = 0;
	for (const char *at = s.at, *end = s.at + s.len; at < end;)
		out[n++] = tm_utf8_next(&at, end);
	*ret = out;
	return n;
}
KERNEL(levenshtein)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		uint32_t *a, *b;
		size_t n = decode(ev, STR_AT(0, i), &a), m = decode(ev, STR_AT(1, i), &b);
		void *room;
		TM_TRY(fn_try(ev, (m + 1) * sizeof(int32_t), &room));
		int32_t *row = room;
		for (size_t j = 0; j <= m; j++)
			row[j] = (int32_t)j;
		for (size_t x = 1; x <= n; x++) {
			int32_t diagonal = row[0];
			row[0] = (int32_t)x;
			for (size_t j = 1; j <= m; j++) {
				int32_t up = row[j], best = diagonal + (a[x - 1] != b[j - 1]);
				best = up + 1 < best ? up + 1 : best;
				best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
				diagonal = up;
				row[j] = best;
			}
		}
		ret->i32[i] = call->arg_count > 2 && row[m] > AT(2, i32, i) ? -1 : row[m];
	}
	return TM_OK;
}

/* ---- mask(text [, upper, lower, digit, other]) ---- a null keeps the characters of that kind */
KERNEL(mask)
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin_some(ev, call, args, 1, ret);
	FN_ROWS(i)
	{
		static const char *const standard[] = {"X", "x", "n"};
		struct tm_str with[4] = {{0}}, s = STR_AT(0, i);
		for (size_t k = 0; k < 4; k++) {
			if (k + 1 >= call->arg_count)
				with[k] = k < 3 ? tm_str_of(standard[k]) : (struct tm_str){0};
			else if (!tm_is_null(&args[k + 1], i))
				with[k] = STR_AT(k + 1, i);
		}
		for (const char *at = s.at, *end = s.at + s.len; at < end && rc == TM_OK;) {
			const char *from = at;
			UChar32 c = (UChar32)tm_utf8_next(&at, end);
			int kind = u_isupper(c) ? 0 : u_islower(c) ? 1 : u_isdigit(c) ? 2 : 3;
			if (with[kind].at)
				tm_buf_str_put(&b, with[kind]);
			else
				tm_buf_put(&b, from, (size_t)(at - from));
			rc = fn_text_limit(ev, &b);
		}
		if (rc != TM_OK)
			break;
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}

/* ---- character sets ---- */
enum charset { CS_UTF8, CS_ASCII, CS_LATIN1, CS_UTF16, CS_UTF16BE, CS_UTF16LE, CS_UTF32, CS_NONE };
static enum charset charset_of(struct tm_str s)
{
	static const char *const names[] = {"UTF-8", "US-ASCII", "ISO-8859-1", "UTF-16", "UTF-16BE", "UTF-16LE", "UTF-32"};
	for (int i = 0; i < CS_NONE; i++)
		if (tm_str_iis(s, names[i]))
			return (enum charset)i;
	return CS_NONE;
}
static tm_rc bad_charset(struct tm_eval *ev, struct tm_str s, const char *function)
{
	return tm_fail_class(ev->err, TM_DATA, "INVALID_PARAMETER_VALUE.CHARSET", "22023",
			     "The value of parameter(s) `charset` in `%s` is invalid: expects one of the charsets 'iso-8859-1', "
			     "'us-ascii', 'utf-16', 'utf-16be', 'utf-16le', 'utf-32', 'utf-8', "
			     "but got '%.*s'.",
			     function, TM_STR_ARG(s));
}
static tm_rc malformed(struct tm_eval *ev, struct tm_str charset, const char *function)
{
	return tm_fail_class(ev->err, TM_DATA, "MALFORMED_CHARACTER_CODING", "22000", "Invalid value found when performing `%s` with %.*s",
			     function, TM_STR_ARG(charset));
}
static void put16(struct tm_buf *b, uint32_t unit, bool little)
{
	tm_buf_char(b, (char)(little ? unit : unit >> 8));
	tm_buf_char(b, (char)(little ? unit >> 8 : unit));
}
KERNEL(encode)
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows && rc == TM_OK; i++) {
		if (ret->valid && !ret->valid[i])
			continue;
		struct tm_str s = STR_AT(0, i), name = STR_AT(1, i);
		enum charset cs = charset_of(name);
		if (cs == CS_NONE)
			rc = bad_charset(ev, name, "encode");
		if (cs == CS_UTF16 && s.len)
			put16(&b, 0xFEFF, false);
		for (const char *at = s.at, *end = s.at + s.len; at < end && rc == TM_OK;) {
			const char *from = at;
			uint32_t c = tm_utf8_next(&at, end);
			if (cs == CS_UTF8) {
				tm_buf_put(&b, from, (size_t)(at - from));
			} else if (cs <= CS_LATIN1) {
				if (c > (cs == CS_ASCII ? 0x7F : 0xFF))
					rc = malformed(ev, name, "encode");
				tm_buf_char(&b, (char)c);
			} else if (cs == CS_UTF32) {
				tm_buf_be32(&b, c);
			} else if (c >= 0x10000) {
				put16(&b, 0xD800 + ((c - 0x10000) >> 10), cs == CS_UTF16LE);
				put16(&b, 0xDC00 + ((c - 0x10000) & 0x3FF), cs == CS_UTF16LE);
			} else {
				put16(&b, c, cs == CS_UTF16LE);
			}
		}
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}
static bool decode_bytes(enum charset cs, struct tm_str s, struct tm_buf *b)
{
	char utf8[4];
	bool little = cs == CS_UTF16LE;
	if (cs == CS_UTF8) {
		tm_buf_str_put(b, s);
		return tm_utf8_valid(s);
	}
	if (cs <= CS_LATIN1) {
		for (size_t j = 0; j < s.len; j++) {
			if (cs == CS_ASCII && (s.at[j] & 0x80))
				return false;
			tm_buf_put(b, utf8, tm_utf8_put((unsigned char)s.at[j], utf8));
		}
		return true;
	}
	size_t unit = cs == CS_UTF32 ? 4 : 2;
	if (s.len % unit)
		return false;
	for (size_t j = 0; j < s.len; j += unit) {
		const unsigned char *p = (const unsigned char *)s.at + j;
		uint32_t c = unit == 4 ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
			     : little  ? (uint32_t)p[1] << 8 | p[0]
				       : (uint32_t)p[0] << 8 | p[1];
		if (j == 0 && cs == CS_UTF16 && (c == 0xFEFF || c == 0xFFFE)) {
			little = c == 0xFFFE;
			continue;
		}
		if (unit == 2 && c >= 0xD800 && c < 0xDC00 && j + 4 <= s.len) {
			uint32_t low = little ? (uint32_t)p[3] << 8 | p[2] : (uint32_t)p[2] << 8 | p[3];
			if (low < 0xDC00 || low >= 0xE000)
				return false;
			c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
			j += 2;
		}
		if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
			return false;
		tm_buf_put(b, utf8, tm_utf8_put(c, utf8));
	}
	return true;
}
KERNEL(decode_charset)
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows && rc == TM_OK; i++) {
		if (ret->valid && !ret->valid[i])
			continue;
		enum charset cs = charset_of(STR_AT(1, i));
		if (cs == CS_NONE)
			rc = bad_charset(ev, STR_AT(1, i), "decode");
		else if (!decode_bytes(cs, STR_AT(0, i), &b))
			rc = malformed(ev, STR_AT(1, i), "decode");
		else
			ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}
/* decode(value, search, result, … [, default]): null finds null */
KERNEL(decode_search)
{
	size_t n = call->arg_count, results = (n - 1) / 2, bases[64];
	bool has_default = (n - 1) % 2;
	const struct tm_column *parts[64];
	struct tm_column pool;
	size_t count = 0;
	uint32_t *pick = tm_arena_alloc(ev->arena, (ev->rows + 1) * sizeof *pick);
	for (size_t k = 0; k < results; k++)
		parts[count++] = &args[2 + 2 * k];
	if (has_default)
		parts[count++] = &args[n - 1];
	fn_pool(ev, parts, count, call->type, &pool, bases);
	for (size_t i = 0; i < ev->rows; i++) {
		pick[i] = has_default ? (uint32_t)(bases[count - 1] + i) : UINT32_MAX;
		for (size_t k = 0; k < results; k++) {
			const struct tm_column *s = &args[1 + 2 * k];
			bool a = tm_is_null(&args[0], i), c = tm_is_null(s, i);
			if (a || c ? a == c : tm_value_cmp(&args[0], i, s, i) == 0) {
				pick[i] = (uint32_t)(bases[k] + i);
				break;
			}
		}
	}
	tm_column_take(ret, ev->arena, &pool, pick, ev->rows);
	ret->type = call->type;
	return TM_OK;
}
BIND(decode)
{
	if (b->arg_count == 2) {
		TM_TRY(fn_want(b, 0, &tm_type_binary, err));
		TM_TRY(fn_want(b, 1, &tm_type_string, err));
		return fn_is(b, &tm_k_decode_charset, &tm_type_string, fn_any_nullable(b));
	}
	if (b->arg_count > 120)
		return tm_fail_class(err, TM_LIMIT, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "42605",
				     "The `decode` takes at most 120 parameters.");
	const struct tm_type *s = b->args[0].type, *r = &tm_type_null;
	for (size_t i = 1; i < b->arg_count && s && r; i++) {
		bool search = i % 2 == 1 && i + 1 < b->arg_count;
		if (search)
			s = tm_type_common(b->arena, s, b->args[i].type, b->session->ansi);
		else
			r = tm_type_common(b->arena, r, b->args[i].type, b->session->ansi);
	}
	if (!s || !r)
		return fn_mismatch(b, err, "DATA_DIFF_TYPES", "Input to `decode` should all be the same type.");
	for (size_t i = 0; i < b->arg_count; i++) {
		const struct tm_type *want = i == 0 || (i % 2 == 1 && i + 1 < b->arg_count) ? s : r;
		if (!tm_type_same(b->args[i].type, want))
			b->cast[i] = want;
	}
	return fn_is(b, &tm_k_decode_search, r, true);
}

/* ---- parts between separators ---- */
KERNEL(split_part)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), sep = STR_AT(1, i);
		int64_t n = AT(2, i32, i), parts = 1, at = 0;
		if (n == 0)
			return fn_index_zero(ev);
		ret->str[i] = tm_str_n("", 0);
		for (size_t p = 0; sep.len && (p = tm_str_find(s, sep, p)) != SIZE_MAX; p += sep.len)
			parts++;
		if (n < 0)
			n = parts + n + 1;
		for (size_t from = 0;; at++) {
			size_t hit = sep.len ? tm_str_find(s, sep, from) : SIZE_MAX;
			if (at + 1 == n) {
				ret->str[i] = tm_str_slice(s, from, hit == SIZE_MAX ? s.len : hit);
				break;
			}
			if (hit == SIZE_MAX)
				break;
			from = hit + sep.len;
		}
	}
	return TM_OK;
}
KERNEL(substring_index)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), sep = STR_AT(1, i);
		int64_t n = AT(2, i32, i);
		ret->str[i] = n == 0 || sep.len == 0 ? tm_str_n("", 0) : s;
		if (n > 0 && sep.len) {
			size_t from = 0, hit = SIZE_MAX;
			for (; n > 0 && (hit = tm_str_find(s, sep, from)) != SIZE_MAX; n--)
				from = hit + sep.len;
			if (n == 0)
				ret->str[i] = tm_str_slice(s, 0, from - sep.len);
		} else if (n < 0 && sep.len) {
			for (size_t at = s.len + 1; at-- > 0;)
				if (at + sep.len <= s.len && memcmp(s.at + at, sep.at, sep.len) == 0 && ++n == 0) {
					ret->str[i] = tm_str_slice(s, at + sep.len, s.len);
					break;
				}
		}
	}
	return TM_OK;
}
KERNEL(find_in_set)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), rest = STR_AT(1, i), part;
		int32_t n = 0;
		ret->i32[i] = 0;
		if (!rest.at)
			rest.at = "";
		while ((s.len == 0 || !memchr(s.at, ',', s.len)) && tm_str_split(&rest, ',', &part)) {
			n++;
			if (tm_str_eq(part, s)) {
				ret->i32[i] = n;
				break;
			}
		}
	}
	return TM_OK;
}
KERNEL(elt)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		int64_t n = tm_is_null(&args[0], i) ? -1 : AT(0, i32, i);
		bool inside = n >= 1 && n < (int64_t)call->arg_count;
		if (!inside && n != -1 && ev->session->ansi)
			return tm_fail_class(ev->err, TM_DATA, "INVALID_ARRAY_INDEX", "22003",
					     "The index %lld is out of bounds. The array has %zu elements. Use the SQL function `get()` to "
					     "tolerate accessing element at invalid index and return NULL instead.",
					     (long long)n, call->arg_count - 1);
		if (!inside || tm_is_null(&args[n], i))
			fn_null(ev, ret, i);
		else
			ret->str[i] = STR_AT(n, i);
	}
	return TM_OK;
}
BIND(elt)
{
	TM_TRY(fn_want(b, 0, &tm_type_int, err));
	for (size_t i = 1; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, &tm_type_string, err));
	return fn_is(b, &tm_k_elt, &tm_type_string, true);
}
KERNEL(quote)
{
	struct tm_buf b = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		tm_buf_char(&b, '\'');
		for (size_t j = 0; j < s.len; j++) {
			if (s.at[j] == '\'')
				tm_buf_char(&b, '\\');
			tm_buf_char(&b, s.at[j]);
		}
		tm_buf_char(&b, '\'');
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return TM_OK;
}

/* ---- UTF-8 ---- */
KERNEL(is_valid_utf8)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->boolean[i] = tm_utf8_valid(STR_AT(0, i));
	return TM_OK;
}
KERNEL(make_valid_utf8)
{
	struct tm_buf b = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		if (tm_utf8_valid(s)) {
			ret->str[i] = s;
			continue;
		}
		for (const char *at = s.at, *end = s.at + s.len; at < end;) {
			char utf8[4];
			tm_buf_put(&b, utf8, tm_utf8_put(tm_utf8_next(&at, end), utf8));
		}
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return TM_OK;
}
KERNEL(validate_utf8) /* bound: not NULL for try_ */
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		ret->str[i] = STR_AT(0, i);
		if (tm_utf8_valid(STR_AT(0, i)))
			continue;
		if (!call->bound)
			return tm_fail_class(ev->err, TM_DATA, "INVALID_UTF8_STRING", "22029",
					     "Invalid UTF8 byte sequence found in string.");
		fn_null(ev, ret, i);
	}
	return TM_OK;
}
BIND(validate_utf8) { return fn_bind_try(b, &tm_k_validate_utf8, &tm_type_string, err); }
KERNEL(luhn_check)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		int sum = 0;
		bool ok = s.len > 0, twice = false;
		for (size_t j = s.len; j-- > 0;) {
			int d = s.at[j] - '0';
			ok &= d >= 0 && d <= 9;
			d = twice ? d * 2 : d;
			sum = (sum + (d > 9 ? d - 9 : d)) % 10;
			twice = !twice;
		}
		ret->boolean[i] = ok && sum == 0;
	}
	return TM_OK;
}
