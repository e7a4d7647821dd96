/* Strings: lengths and positions in code points, cutting, padding, searching, concatenation. */
#include "sql/fn_int.h"
#include <unicode/ucasemap.h>
#include <unicode/uchar.h>

static size_t char_len(unsigned char c)
{
	return c < 0x80 ? 1 : c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 1;
}
/* How Spark's UTF8String counts: by lead bytes, whether the rest is well-formed or not. */
static size_t count_chars(struct tm_str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i += char_len((unsigned char)s.at[i]))
		n++;
	return n;
}
static bool ascii_only(struct tm_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] & 0x80)
			return false;
	return true;
}
/* Byte offset of character n, at most the end. */
static size_t offset_of(struct tm_str s, size_t n)
{
	size_t i = 0;
	while (n-- && i < s.len)
		i += char_len((unsigned char)s.at[i]);
	return i < s.len ? i : s.len;
}

KERNEL(length)
{
	bool binary = args[0].type->kind == TM_T_BINARY;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->i32[i] = (int32_t)(binary ? STR_AT(0, i).len : count_chars(STR_AT(0, i)));
	return TM_OK;
}
KERNEL(octet_length)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->i32[i] = (int32_t)STR_AT(0, i).len;
	return TM_OK;
}
KERNEL(bit_length)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->i32[i] = (int32_t)(STR_AT(0, i).len * 8); /* wraps, as in Java */
	return TM_OK;
}

/* ---- case ---- ASCII here, the rest by ICU's root rules */
static struct tm_str case_map(struct tm_eval *ev, UCaseMap *map, struct tm_str s, bool upper)
{
	size_t cap = s.len * 3 + 16;
	char *out = tm_arena_alloc(ev->arena, cap);
	if (ascii_only(s)) {
		for (size_t i = 0; i < s.len; i++) {
			char c = s.at[i];
			out[i] = upper ? (c >= 'a' && c <= 'z' ? (char)(c - 32) : c) : (c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
		}
		return tm_str_n(out, s.len);
	}
	UErrorCode status = U_ZERO_ERROR;
	int32_t n = upper ? ucasemap_utf8ToUpper(map, out, (int32_t)cap, s.at, (int32_t)s.len, &status)
			  : ucasemap_utf8ToLower(map, out, (int32_t)cap, s.at, (int32_t)s.len, &status);
	return U_SUCCESS(status) ? tm_str_n(out, (size_t)n) : s;
}
static tm_rc map_case(FN_EVAL_ARGS, bool upper)
{
	UErrorCode status = U_ZERO_ERROR;
	UCaseMap *map = ucasemap_open("", 0, &status);
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->str[i] = case_map(ev, map, STR_AT(0, i), upper);
	ucasemap_close(map);
	return TM_OK;
}
KERNEL(upper) { return map_case(ev, call, args, ret, true); }
KERNEL(lower) { return map_case(ev, call, args, ret, false); }

KERNEL(initcap)
{
	UErrorCode status = U_ZERO_ERROR;
	UCaseMap *map = ucasemap_open("", 0, &status);
	struct tm_buf b = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str low = case_map(ev, map, STR_AT(0, i), false);
		bool start = true;
		for (size_t at = 0; at < low.len;) {
			size_t n = char_len((unsigned char)low.at[at]);
			if (at + n > low.len)
				n = low.len - at;
			struct tm_str c = tm_str_n(low.at + at, n);
			char title[16];
			if (start && (c.at[0] & 0x80)) {
				status = U_ZERO_ERROR;
				int32_t k = ucasemap_utf8ToTitle(map, title, sizeof title, c.at, (int32_t)c.len, &status);
				if (U_SUCCESS(status) && k <= (int32_t)sizeof title)
					c = tm_str_n(title, (size_t)k);
			} else if (start && c.at[0] >= 'a' && c.at[0] <= 'z') {
				title[0] = (char)(c.at[0] - 32);
				c = tm_str_n(title, 1);
			}
			tm_buf_str_put(&b, c);
			start = low.at[at] == ' ';
			at += n;
		}
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	ucasemap_close(map);
	return TM_OK;
}

/* ---- cutting ---- */
/* Spark's substring: 1 is the first character, 0 too; from the end when negative. */
static struct tm_str substring(struct tm_str s, bool binary, int64_t pos, int64_t len)
{
	if (len <= 0)
		return tm_str_n(s.at, 0);
	bool bytes = binary || ascii_only(s);
	int64_t n = bytes ? (int64_t)s.len : (int64_t)count_chars(s);
	int64_t start = pos > 0 ? pos - 1 : pos < 0 ? n + pos : 0, end = len > INT32_MAX ? n : start + len;
	if (end > n)
		end = n;
	if (start < 0)
		start = 0;
	if (end <= start)
		return tm_str_n(s.at, 0);
	if (bytes)
		return tm_str_n(s.at + start, (size_t)(end - start));
	size_t from = offset_of(s, (size_t)start);
	struct tm_str rest = tm_str_n(s.at + from, s.len - from);
	return tm_str_n(rest.at, offset_of(rest, (size_t)(end - start)));
}
KERNEL(substring)
{
	bool binary = args[0].type->kind == TM_T_BINARY, has_len = call->arg_count == 3;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->str[i] = substring(STR_AT(0, i), binary, AT(1, i32, i), has_len ? AT(2, i32, i) : INT64_MAX);
	return TM_OK;
}
KERNEL(left)
{
	bool binary = args[0].type->kind == TM_T_BINARY;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->str[i] = substring(STR_AT(0, i), binary, 1, AT(1, i32, i));
	return TM_OK;
}
KERNEL(right)
{
	bool binary = args[0].type->kind == TM_T_BINARY;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		int32_t n = AT(1, i32, i);
		ret->str[i] = n <= 0 ? tm_str_n("", 0) : substring(STR_AT(0, i), binary, -(int64_t)n, INT32_MAX);
	}
	return TM_OK;
}

/* Is the character at s[at..at+n) among those of set? */
static bool in_set(struct tm_str set, const char *c, size_t n)
{
	for (size_t j = 0; j < set.len;) {
		size_t m = char_len((unsigned char)set.at[j]);
		if (m == n && j + m <= set.len && memcmp(set.at + j, c, n) == 0)
			return true;
		j += m;
	}
	return false;
}
static struct tm_str trim_set(struct tm_str s, struct tm_str set, bool left, bool right)
{
	while (left && s.len) {
		size_t n = char_len((unsigned char)s.at[0]);
		if (n > s.len || !in_set(set, s.at, n))
			break;
		s = tm_str_slice(s, n, s.len);
	}
	while (right && s.len) {
		size_t at = s.len - 1;
		while (at > 0 && (s.at[at] & 0xC0) == 0x80)
			at--;
		if (!in_set(set, s.at + at, s.len - at))
			break;
		s.len = at;
	}
	return s;
}
/* trim([characters,] text), as TRIM(x FROM y) is passed too; btrim(text [, characters]) has bound set */
static tm_rc trim_sides(FN_EVAL_ARGS, bool left, bool right)
{
	bool has_set = call->arg_count == 2;
	size_t text = has_set && !call->bound;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->str[i] = trim_set(STR_AT(text, i), has_set ? STR_AT(1 - text, i) : TM_STR(" "), left, right);
	return TM_OK;
}
KERNEL(trim) { return trim_sides(ev, call, args, ret, true, true); }
KERNEL(ltrim) { return trim_sides(ev, call, args, ret, true, false); }
KERNEL(rtrim) { return trim_sides(ev, call, args, ret, false, true); }
/* variant: 0 both, 1 left, 2 right, 4 btrim */
BIND(trim)
{
	static const struct tm_kernel *const kernels[] = {&tm_k_trim, &tm_k_ltrim, &tm_k_rtrim};
	bool binary = b->args[0].type->kind == TM_T_BINARY;
	for (size_t i = 0; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, binary ? &tm_type_binary : &tm_type_string, err));
	b->bound = fn_variant(b) & 4 ? "" : NULL;
	return fn_is(b, kernels[fn_variant(b) & 3], binary ? &tm_type_binary : &tm_type_string, fn_any_nullable(b));
}

/* ---- padding and repeating ---- */
static tm_rc pad(FN_EVAL_ARGS, bool left)
{
	bool binary = args[0].type->kind == TM_T_BINARY, has_pad = call->arg_count == 3;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), p = has_pad ? STR_AT(2, i) : binary ? tm_str_n("\0", 1) : TM_STR(" ");
		int64_t want = AT(1, i32, i), have = binary ? (int64_t)s.len : (int64_t)count_chars(s),
			pads = binary ? (int64_t)p.len : (int64_t)count_chars(p);
		if (want <= have || pads == 0) {
			ret->str[i] = substring(s, binary, 1, want);
			continue;
		}
		int64_t whole = (want - have) / pads, rest = (want - have) % pads;
		size_t part = binary ? (size_t)rest : offset_of(p, (size_t)rest);
		size_t size = s.len + (size_t)whole * p.len + part;
		void *out;
		TM_TRY(fn_try(ev, size, &out));
		char *at = out;
		if (!left && s.len) {
			memcpy(at, s.at, s.len);
			at += s.len;
		}
		for (int64_t j = 0; j < whole; j++, at += p.len)
			memcpy(at, p.at, p.len);
		memcpy(at, p.at, part);
		at += part;
		if (left && s.len)
			memcpy(at, s.at, s.len);
		ret->str[i] = tm_str_n(out, size);
	}
	return TM_OK;
}
KERNEL(lpad) { return pad(ev, call, args, ret, true); }
KERNEL(rpad) { return pad(ev, call, args, ret, false); }
/* variant: 1 left */
BIND(pad)
{
	bool binary = b->args[0].type->kind == TM_T_BINARY && (b->arg_count < 3 || b->args[2].type->kind == TM_T_BINARY);
	const struct tm_type *t = binary ? &tm_type_binary : &tm_type_string;
	TM_TRY(fn_want(b, 0, t, err));
	TM_TRY(fn_want(b, 1, &tm_type_int, err));
	if (b->arg_count == 3)
		TM_TRY(fn_want(b, 2, t, err));
	return fn_is(b, fn_variant(b) ? &tm_k_lpad : &tm_k_rpad, t, fn_any_nullable(b));
}
static tm_rc repeat_row(struct tm_eval *ev, struct tm_str s, int64_t n, struct tm_str *ret)
{
	size_t size;
	if (n <= 0 || s.len == 0) {
		*ret = tm_str_n("", 0);
		return TM_OK;
	}
	void *out;
	if (__builtin_mul_overflow(s.len, (size_t)n, &size) || size > INT32_MAX)
		return tm_fail(ev->err, TM_LIMIT, "repeat() would make a string of more than 2147483647 bytes");
	TM_TRY(fn_try(ev, size, &out));
	for (int64_t j = 0; j < n; j++)
		memcpy((char *)out + (size_t)j * s.len, s.at, s.len);
	*ret = tm_str_n(out, size);
	return TM_OK;
}
KERNEL(repeat)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) TM_TRY(repeat_row(ev, STR_AT(0, i), AT(1, i32, i), &ret->str[i]));
	return TM_OK;
}
KERNEL(space)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) TM_TRY(repeat_row(ev, TM_STR(" "), AT(0, i32, i), &ret->str[i]));
	return TM_OK;
}
KERNEL(reverse)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		char *out = tm_arena_alloc(ev->arena, s.len ? s.len : 1), *end = out + s.len;
		for (size_t at = 0; at < s.len;) {
			size_t n = char_len((unsigned char)s.at[at]);
			if (at + n > s.len)
				n = s.len - at;
			end -= n;
			memcpy(end, s.at + at, n);
			at += n;
		}
		ret->str[i] = tm_str_n(out, s.len);
	}
	return TM_OK;
}

/* ---- concatenation ---- */
KERNEL(concat)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		size_t size = 0;
		for (size_t a = 0; a < call->arg_count; a++)
			size += STR_AT(a, i).len;
		void *out;
		TM_TRY(fn_try(ev, size, &out));
		char *at = out;
		for (size_t a = 0; a < call->arg_count; a++) {
			struct tm_str s = STR_AT(a, i);
			if (s.len)
				memcpy(at, s.at, s.len);
			at += s.len;
		}
		ret->str[i] = tm_str_n(out, size);
	}
	return TM_OK;
}
/* concat and ||: strings, binaries, or arrays */
BIND(concat)
{
	bool array = false, binary = b->arg_count > 0;
	for (size_t i = 0; i < b->arg_count; i++) {
		array |= b->args[i].type->kind == TM_T_ARRAY;
		binary &= b->args[i].type->kind == TM_T_BINARY;
	}
	if (array) {
		const struct tm_type *t;
		TM_TRY(fn_want_common(b, 0, b->arg_count, &t, err));
		extern const struct tm_kernel tm_k_array_concat;
		return fn_is(b, &tm_k_array_concat, t, fn_any_nullable(b));
	}
	for (size_t i = 0; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, binary ? &tm_type_binary : &tm_type_string, err));
	return fn_is(b, &tm_k_concat, binary ? &tm_type_binary : &tm_type_string, fn_any_nullable(b));
}
KERNEL(concat_ws)
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows && rc == TM_OK; i++) {
		bool first = true;
		if (tm_is_null(&args[0], i)) {
			fn_null(ev, ret, i);
			continue;
		}
		struct tm_str sep = STR_AT(0, i);
		for (size_t a = 1; a < call->arg_count; a++) {
			if (tm_is_null(&args[a], i))
				continue;
			bool list = args[a].type->kind == TM_T_ARRAY;
			struct tm_span span = list ? AT(a, span, i) : (struct tm_span){0, 1};
			for (uint32_t j = 0; j < span.count && rc == TM_OK; j++) {
				const struct tm_column *c = list ? &args[a].children[0] : &args[a];
				size_t row = list ? span.from + j : i;
				if (tm_is_null(c, row))
					continue;
				if (!first)
					tm_buf_str_put(&b, sep);
				tm_buf_str_put(&b, c->str[tm_row(c, row)]);
				first = false;
				rc = fn_text_limit(ev, &b);
			}
		}
		if (rc != TM_OK)
			break;
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}
BIND(concat_ws)
{
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	for (size_t i = 1; i < b->arg_count; i++) {
		if (b->args[i].type->kind == TM_T_ARRAY)
			TM_TRY(fn_want(b, i, tm_type_array(b->arena, &tm_type_string, true), err));
		else
			TM_TRY(fn_want(b, i, &tm_type_string, err));
	}
	return fn_is(b, &tm_k_concat_ws, &tm_type_string, b->args[0].nullable);
}

/* ---- searching ---- positions count characters from 1; 0 = not there */
static int32_t locate(struct tm_str needle, struct tm_str s, int64_t from)
{
	if (from < 1)
		return 0;
	size_t start = offset_of(s, (size_t)(from - 1));
	if (start == s.len && (size_t)from > count_chars(s) + 1)
		return 0;
	size_t at = tm_str_find(s, needle, start);
	return at == SIZE_MAX ? 0 : (int32_t)count_chars(tm_str_slice(s, 0, at)) + 1;
}
KERNEL(instr)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->i32[i] = locate(STR_AT(1, i), STR_AT(0, i), 1);
	return TM_OK;
}
KERNEL(locate)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i) ret->i32[i] = locate(STR_AT(0, i), STR_AT(1, i), call->arg_count == 3 ? AT(2, i32, i) : 1);
	return TM_OK;
}
#define PREDICATE(name, test)                                                                                                              \
	KERNEL(name)                                                                                                                       \
	{                                                                                                                                  \
		fn_begin(ev, call, args, ret);                                                                                             \
		FN_ROWS(i)                                                                                                                 \
		{                                                                                                                          \
			struct tm_str a = STR_AT(0, i), b = STR_AT(1, i);                                                                  \
			ret->boolean[i] = test;                                                                                            \
		}                                                                                                                          \
		return TM_OK;                                                                                                              \
	}
PREDICATE(contains, tm_str_find(a, b, 0) != SIZE_MAX)
PREDICATE(startswith, tm_str_starts(a, b))
PREDICATE(endswith, tm_str_ends(a, b))
BIND(str_pair_test)
{
	static const struct tm_kernel *const kernels[] = {&tm_k_contains, &tm_k_startswith, &tm_k_endswith};
	bool binary = b->args[0].type->kind == TM_T_BINARY && b->args[1].type->kind == TM_T_BINARY;
	for (size_t i = 0; i < 2; i++)
		TM_TRY(fn_want(b, i, binary ? &tm_type_binary : &tm_type_string, err));
	return fn_is(b, kernels[fn_variant(b)], &tm_type_boolean, fn_any_nullable(b));
}

KERNEL(replace)
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), what = STR_AT(1, i), with = call->arg_count == 3 ? STR_AT(2, i) : TM_STR("");
		size_t from = 0, at;
		if (what.len == 0 || tm_str_find(s, what, 0) == SIZE_MAX) {
			ret->str[i] = s;
			continue;
		}
		while (rc == TM_OK && (at = tm_str_find(s, what, from)) != SIZE_MAX) {
			tm_buf_put(&b, s.at + from, at - from);
			tm_buf_str_put(&b, with);
			from = at + what.len;
			rc = fn_text_limit(ev, &b);
		}
		if (rc != TM_OK)
			break;
		tm_buf_put(&b, s.at + from, s.len - from);
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return rc;
}
KERNEL(translate)
{
	struct tm_buf b = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), from = STR_AT(1, i), to = STR_AT(2, i);
		for (size_t at = 0; at < s.len;) {
			size_t n = char_len((unsigned char)s.at[at]), nth = 0, j = 0;
			if (at + n > s.len)
				n = s.len - at;
			bool hit = false;
			for (; j < from.len && !hit; nth++) {
				size_t m = char_len((unsigned char)from.at[j]);
				hit = m == n && j + m <= from.len && memcmp(from.at + j, s.at + at, n) == 0;
				j += m;
			}
			if (!hit) {
				tm_buf_put(&b, s.at + at, n);
			} else {
				size_t o = offset_of(to, nth - 1);
				if (o < to.len) {
					size_t m = char_len((unsigned char)to.at[o]);
					tm_buf_put(&b, to.at + o, m < to.len - o ? m : to.len - o);
				}
			}
			at += n;
		}
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return TM_OK;
}
KERNEL(overlay) /* overlay(text, replacement, position [, length]) */
{
	bool binary = args[0].type->kind == TM_T_BINARY;
	struct tm_buf b = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i), r = STR_AT(1, i);
		int64_t pos = AT(2, i32, i), len = call->arg_count == 4 ? AT(3, i32, i) : -1;
		if (len < 0)
			len = binary ? (int64_t)r.len : (int64_t)count_chars(r);
		tm_buf_str_put(&b, substring(s, binary, 1, pos - 1));
		tm_buf_str_put(&b, r);
		tm_buf_str_put(&b, substring(s, binary, pos + len, INT64_MAX));
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return TM_OK;
}
