/* Schoolbook arithmetic on 32-bit limbs, and decimals as unscaled integer and scale, with Java's BigDecimal rules. */
#include "table/bignum.h"
#include <stdio.h>
#include <stdlib.h>

#define DIGITS_MAX (TM_BIG_MAX_BYTES * 2)

static struct tm_big trimmed(struct tm_big a)
{
	while (a.count && a.limbs[a.count - 1] == 0)
		a.count--;
	if (a.count == 0)
		a.negative = false;
	return a;
}

static struct tm_big room(struct tm_arena *arena, size_t count)
{
	return (struct tm_big){.count = count, .limbs = TM_NEW_N(arena, uint32_t, count + 1)};
}

struct tm_big tm_big_i64(struct tm_arena *arena, int64_t v)
{
	struct tm_big r = room(arena, 2);
	uint64_t m = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	r.limbs[0] = (uint32_t)m;
	r.limbs[1] = (uint32_t)(m >> 32);
	r.negative = v < 0;
	return trimmed(r);
}

struct tm_big tm_big_of_bytes(struct tm_arena *arena, struct tm_str bytes)
{
	if (bytes.len > TM_BIG_MAX_BYTES)
		bytes.len = TM_BIG_MAX_BYTES;
	if (bytes.len == 0)
		return room(arena, 0);
	bool negative = bytes.at[0] & 0x80;
	struct tm_big r = room(arena, bytes.len / 4 + 1);
	for (size_t i = 0; i < bytes.len; i++) {
		uint32_t b = (uint8_t)bytes.at[bytes.len - 1 - i];
		r.limbs[i / 4] |= (negative ? b ^ 0xFF : b) << (i % 4 * 8);
	}
	if (negative) { /* magnitude = inverse + 1 */
		for (size_t i = 0; i < r.count && ++r.limbs[i] == 0; i++)
			;
		r.negative = true;
	}
	return trimmed(r);
}

struct tm_str tm_big_bytes(struct tm_arena *arena, struct tm_big a)
{
	size_t n = a.count * 4 + 1;
	uint8_t *out = TM_NEW_N(arena, uint8_t, n);
	uint32_t carry = a.negative;
	for (size_t i = 0; i < n; i++) {
		uint32_t b = i / 4 < a.count ? a.limbs[i / 4] >> (i % 4 * 8) & 0xFF : 0;
		if (a.negative) {
			b = (b ^ 0xFF) + carry;
			carry = b >> 8;
		}
		out[n - 1 - i] = (uint8_t)b;
	}
	size_t skip = 0;
	while (skip + 1 < n && ((out[skip] == 0 && !(out[skip + 1] & 0x80)) || (out[skip] == 0xFF && (out[skip + 1] & 0x80))))
		skip++;
	return (struct tm_str){(char *)out + skip, n - skip};
}

static void mul_add_small(struct tm_big *a, uint32_t m, uint32_t add)
{
	uint64_t carry = add;
	for (size_t i = 0; i < a->count; i++) {
		carry += (uint64_t)a->limbs[i] * m;
		a->limbs[i] = (uint32_t)carry;
		carry >>= 32;
	}
	if (carry)
		a->limbs[a->count++] = (uint32_t)carry;
}

static uint32_t div_small(struct tm_big *a, uint32_t d)
{
	uint64_t rest = 0;
	for (size_t i = a->count; i-- > 0;) {
		rest = rest << 32 | a->limbs[i];
		a->limbs[i] = (uint32_t)(rest / d);
		rest %= d;
	}
	while (a->count && a->limbs[a->count - 1] == 0)
		a->count--;
	return (uint32_t)rest;
}

bool tm_big_parse(struct tm_arena *arena, struct tm_str s, struct tm_big *ret)
{
	bool negative = false;
	if (s.len && (s.at[0] == '-' || s.at[0] == '+')) {
		negative = s.at[0] == '-';
		s = tm_str_slice(s, 1, s.len);
	}
	if (s.len == 0 || s.len > DIGITS_MAX)
		return false;
	struct tm_big r = room(arena, s.len / 9 + 2);
	r.count = 0;
	for (size_t i = 0; i < s.len;) {
		uint32_t chunk = 0, scale = 1;
		for (; i < s.len && scale < 1000000000; i++, scale *= 10) {
			if (s.at[i] < '0' || s.at[i] > '9')
				return false;
			chunk = chunk * 10 + (uint32_t)(s.at[i] - '0');
		}
		mul_add_small(&r, scale, chunk);
	}
	r.negative = negative;
	*ret = trimmed(r);
	return true;
}

struct tm_str tm_big_text(struct tm_arena *arena, struct tm_big a)
{
	struct tm_big t = room(arena, a.count);
	tm_copy(t.limbs, a.limbs, a.count * sizeof *a.limbs);
	size_t cap = a.count * 10 + 3, at = cap;
	char *out = tm_arena_alloc(arena, cap);
	do {
		uint32_t chunk = div_small(&t, 1000000000);
		for (int i = 0; i < 9 && (t.count || chunk || i == 0); i++, chunk /= 10)
			out[--at] = (char)('0' + chunk % 10);
	} while (t.count);
	while (at + 1 < cap && out[at] == '0')
		at++;
	if (a.negative)
		out[--at] = '-';
	return (struct tm_str){out + at, cap - at};
}

int64_t tm_big_low64(struct tm_big a)
{
	uint64_t m = (a.count > 0 ? a.limbs[0] : 0) | (uint64_t)(a.count > 1 ? a.limbs[1] : 0) << 32;
	return (int64_t)(a.negative ? 0 - m : m);
}

bool tm_big_to_i64(struct tm_big a, int64_t *ret)
{
	int64_t v = tm_big_low64(a);
	if (a.count > 2 || (a.count && (v < 0) != a.negative))
		return false;
	*ret = v;
	return true;
}

double tm_big_to_double(struct tm_arena *arena, struct tm_big a)
{
	struct tm_str text = tm_big_text(arena, a);
	return strtod(tm_arena_cstr(arena, text), NULL);
}

static int cmp_magnitude(struct tm_big a, struct tm_big b)
{
	if (a.count != b.count)
		return a.count < b.count ? -1 : 1;
	for (size_t i = a.count; i-- > 0;)
		if (a.limbs[i] != b.limbs[i])
			return a.limbs[i] < b.limbs[i] ? -1 : 1;
	return 0;
}

int tm_big_cmp(struct tm_big a, struct tm_big b)
{
	if (a.negative != b.negative)
		return a.negative ? -1 : 1;
	int c = cmp_magnitude(a, b);
	return a.negative ? -c : c;
}

struct tm_big tm_big_neg(struct tm_big a)
{
	a.negative = a.count && !a.negative;
	return a;
}

struct tm_big tm_big_add(struct tm_arena *arena, struct tm_big a, struct tm_big b)
{
	if (a.negative == b.negative) {
		struct tm_big r = room(arena, (a.count > b.count ? a.count : b.count) + 1);
		uint64_t carry = 0;
		for (size_t i = 0; i < r.count; i++) {
			carry += (uint64_t)(i < a.count ? a.limbs[i] : 0) + (i < b.count ? b.limbs[i] : 0);
			r.limbs[i] = (uint32_t)carry;
			carry >>= 32;
		}
		r.negative = a.negative;
		return trimmed(r);
	}
	int c = cmp_magnitude(a, b);
	if (c < 0) {
		struct tm_big t = a;
		a = b;
		b = t;
	}
	struct tm_big r = room(arena, a.count);
	int64_t borrow = 0;
	for (size_t i = 0; i < a.count; i++) {
		int64_t v = (int64_t)a.limbs[i] - (i < b.count ? b.limbs[i] : 0) + borrow;
		r.limbs[i] = (uint32_t)v;
		borrow = v < 0 ? -1 : 0;
	}
	r.negative = a.negative;
	return trimmed(r);
}

struct tm_big tm_big_sub(struct tm_arena *arena, struct tm_big a, struct tm_big b) { return tm_big_add(arena, a, tm_big_neg(b)); }

struct tm_big tm_big_mul(struct tm_arena *arena, struct tm_big a, struct tm_big b)
{
	struct tm_big r = room(arena, a.count + b.count);
	for (size_t i = 0; i < a.count; i++) {
		uint64_t carry = 0;
		for (size_t j = 0; j < b.count || carry; j++) {
			carry += r.limbs[i + j] + (j < b.count ? (uint64_t)a.limbs[i] * b.limbs[j] : 0);
			r.limbs[i + j] = (uint32_t)carry;
			carry >>= 32;
		}
	}
	r.negative = a.negative != b.negative;
	return trimmed(r);
}

/* Bit by bit for a divisor of more than one limb: numbers here are short. */
void tm_big_divmod(struct tm_arena *arena, struct tm_big a, struct tm_big b, struct tm_big *ret_quotient, struct tm_big *ret_rest)
{
	TM_ASSERT(b.count);
	struct tm_big q = room(arena, a.count), r = room(arena, b.count + 1);
	if (b.count == 1) {
		tm_copy(q.limbs, a.limbs, a.count * sizeof *a.limbs);
		r.limbs[0] = div_small(&q, b.limbs[0]);
	} else {
		for (size_t i = a.count * 32; i-- > 0;) {
			uint32_t bit = a.limbs[i / 32] >> (i % 32) & 1;
			for (size_t j = 0; j < r.count; j++) {
				uint32_t top = r.limbs[j] >> 31;
				r.limbs[j] = r.limbs[j] << 1 | bit;
				bit = top;
			}
			struct tm_big now = trimmed((struct tm_big){.count = r.count, .limbs = r.limbs});
			if (cmp_magnitude(now, (struct tm_big){.count = b.count, .limbs = b.limbs}) >= 0) {
				int64_t borrow = 0;
				for (size_t j = 0; j < r.count; j++) {
					int64_t v = (int64_t)r.limbs[j] - (j < b.count ? b.limbs[j] : 0) + borrow;
					r.limbs[j] = (uint32_t)v;
					borrow = v < 0 ? -1 : 0;
				}
				q.limbs[i / 32] |= 1u << (i % 32);
			}
		}
	}
	q.negative = a.negative != b.negative;
	r.negative = a.negative;
	*ret_quotient = trimmed(q);
	*ret_rest = trimmed(r);
}

struct tm_big tm_big_pow10(struct tm_arena *arena, size_t n)
{
	struct tm_big r = room(arena, n / 9 + 2);
	r.limbs[0] = 1;
	r.count = 1;
	for (; n >= 9; n -= 9)
		mul_add_small(&r, 1000000000, 0);
	for (; n; n--)
		mul_add_small(&r, 10, 0);
	return r;
}

bool tm_dec_of_bytes(struct tm_arena *arena, struct tm_str bytes, struct tm_dec *ret)
{
	struct tm_cursor c = tm_cursor_of(bytes);
	int32_t scale = (int32_t)tm_cursor_be32(&c);
	if (c.bad || tm_cursor_left(&c) > TM_BIG_MAX_BYTES)
		return false;
	*ret = (struct tm_dec){tm_big_of_bytes(arena, (struct tm_str){c.at, tm_cursor_left(&c)}), scale};
	return true;
}

struct tm_str tm_dec_bytes(struct tm_arena *arena, struct tm_dec d)
{
	struct tm_str u = tm_big_bytes(arena, d.unscaled);
	char *out = tm_arena_alloc(arena, u.len + 4);
	uint32_t scale = __builtin_bswap32((uint32_t)d.scale);
	memcpy(out, &scale, 4);
	tm_copy(out + 4, u.at, u.len);
	return (struct tm_str){out, u.len + 4};
}

bool tm_dec_parse(struct tm_arena *arena, struct tm_str s, struct tm_dec *ret)
{
	char *digits = tm_arena_alloc(arena, s.len + 1);
	size_t n = 0, i = 0, seen = 0;
	int64_t scale = 0, exponent = 0;
	bool point = false;
	if (i < s.len && (s.at[i] == '-' || s.at[i] == '+'))
		digits[n++] = s.at[i++];
	for (; i < s.len && s.at[i] != 'e' && s.at[i] != 'E'; i++) {
		if (s.at[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		digits[n++] = s.at[i];
		seen++;
		scale += point;
	}
	if (!seen)
		return false;
	if (i < s.len) {
		struct tm_str e = tm_str_slice(s, i + 1, s.len);
		if (!tm_str_to_i64(e, &exponent) || exponent > INT32_MAX || exponent < -(int64_t)INT32_MAX)
			return false;
	}
	scale -= exponent;
	if (scale > INT32_MAX || scale < INT32_MIN)
		return false;
	ret->scale = (int32_t)scale;
	return tm_big_parse(arena, (struct tm_str){digits, n}, &ret->unscaled);
}

static struct tm_str digits_of(struct tm_arena *arena, struct tm_big a)
{
	a.negative = false;
	return tm_big_text(arena, a);
}

size_t tm_dec_precision(struct tm_arena *arena, struct tm_dec d) { return digits_of(arena, d.unscaled).len; }

struct tm_str tm_dec_text(struct tm_arena *arena, struct tm_dec d)
{
	struct tm_str digits = digits_of(arena, d.unscaled);
	const char *sign = d.unscaled.negative ? "-" : "";
	int64_t adjusted = -(int64_t)d.scale + ((int64_t)digits.len - 1);
	if (d.scale == 0)
		return tm_arena_printf(arena, "%s%.*s", sign, TM_STR_ARG(digits));
	if (d.scale > 0 && adjusted >= -6) {
		int64_t before = (int64_t)digits.len - d.scale;
		if (before > 0)
			return tm_arena_printf(arena, "%s%.*s.%s", sign, (int)before, digits.at,
					       tm_arena_cstr(arena, tm_str_slice(digits, (size_t)before, digits.len)));
		return tm_arena_printf(arena, "%s0.%.*s%.*s", sign, (int)-before, "00000000", TM_STR_ARG(digits));
	}
	if (digits.len == 1)
		return tm_arena_printf(arena, "%s%cE%+lld", sign, digits.at[0], (long long)adjusted);
	return tm_arena_printf(arena, "%s%c.%sE%+lld", sign, digits.at[0], tm_arena_cstr(arena, tm_str_slice(digits, 1, digits.len)),
			       (long long)adjusted);
}

struct tm_str tm_dec_plain_text(struct tm_arena *arena, struct tm_dec d)
{
	if (d.scale > DIGITS_MAX || d.scale < -DIGITS_MAX)
		return tm_dec_text(arena, d);
	struct tm_str digits = digits_of(arena, d.unscaled);
	struct tm_buf b = {0};
	if (d.unscaled.negative)
		tm_buf_char(&b, '-');
	if (d.scale <= 0) {
		tm_buf_str_put(&b, digits);
		for (int32_t i = d.scale; i < 0 && !tm_big_is_zero(d.unscaled); i++)
			tm_buf_char(&b, '0');
	} else {
		int64_t before = (int64_t)digits.len - d.scale;
		if (before <= 0) {
			tm_buf_cstr_put(&b, "0.");
			for (int64_t i = before; i < 0; i++)
				tm_buf_char(&b, '0');
			tm_buf_str_put(&b, digits);
		} else {
			tm_buf_put(&b, digits.at, (size_t)before);
			tm_buf_char(&b, '.');
			tm_buf_str_put(&b, tm_str_slice(digits, (size_t)before, digits.len));
		}
	}
	struct tm_str r = tm_arena_str(arena, tm_buf_str(&b));
	tm_buf_done(&b);
	return r;
}

/* Both on the larger scale. */
static bool aligned(struct tm_arena *arena, struct tm_dec *a, struct tm_dec *b)
{
	struct tm_dec *low = a->scale < b->scale ? a : b;
	int64_t gap = llabs((int64_t)a->scale - b->scale);
	if (gap > DIGITS_MAX)
		return false;
	if (gap)
		low->unscaled = tm_big_mul(arena, low->unscaled, tm_big_pow10(arena, (size_t)gap));
	low->scale = a->scale > b->scale ? a->scale : b->scale;
	return true;
}

bool tm_dec_add(struct tm_arena *arena, struct tm_dec a, struct tm_dec b, bool subtract, struct tm_dec *ret)
{
	if (!aligned(arena, &a, &b))
		return false;
	*ret = (struct tm_dec){subtract ? tm_big_sub(arena, a.unscaled, b.unscaled) : tm_big_add(arena, a.unscaled, b.unscaled), a.scale};
	return true;
}

bool tm_dec_mul(struct tm_arena *arena, struct tm_dec a, struct tm_dec b, struct tm_dec *ret)
{
	int32_t scale;
	if (__builtin_add_overflow(a.scale, b.scale, &scale))
		return false;
	*ret = (struct tm_dec){tm_big_mul(arena, a.unscaled, b.unscaled), scale};
	return true;
}

int tm_dec_cmp(struct tm_arena *arena, struct tm_dec a, struct tm_dec b)
{
	if (a.unscaled.negative != b.unscaled.negative)
		return a.unscaled.negative ? -1 : 1;
	if (tm_big_is_zero(a.unscaled) || tm_big_is_zero(b.unscaled))
		return tm_big_is_zero(a.unscaled) ? -(b.unscaled.count > 0) : 1;
	int64_t high_a = (int64_t)digits_of(arena, a.unscaled).len - a.scale, high_b = (int64_t)digits_of(arena, b.unscaled).len - b.scale;
	if (high_a != high_b)
		return (high_a < high_b) != a.unscaled.negative ? -1 : 1;
	aligned(arena, &a, &b); /* same magnitude: the scales lie as near as the digits are many */
	return tm_big_cmp(a.unscaled, b.unscaled);
}

bool tm_dec_set_scale(struct tm_arena *arena, struct tm_dec a, int32_t scale, bool even, struct tm_dec *ret)
{
	int64_t gap = (int64_t)scale - a.scale;
	if (gap > DIGITS_MAX)
		return false;
	if (gap >= 0) {
		*ret = (struct tm_dec){tm_big_mul(arena, a.unscaled, tm_big_pow10(arena, (size_t)gap)), scale};
		return true;
	}
	struct tm_big q = {0}, r = {0}, unit, one = tm_big_i64(arena, 1);
	if (-gap > (int64_t)digits_of(arena, a.unscaled).len + 1) {
		*ret = (struct tm_dec){tm_big_i64(arena, 0), scale};
		return true;
	}
	unit = tm_big_pow10(arena, (size_t)-gap);
	tm_big_divmod(arena, a.unscaled, unit, &q, &r);
	r.negative = false;
	int c = tm_big_cmp(tm_big_add(arena, r, r), unit);
	if (c > 0 || (c == 0 && (!even || (q.count && (q.limbs[0] & 1))))) {
		one.negative = a.unscaled.negative;
		q = tm_big_add(arena, q, one);
	}
	*ret = (struct tm_dec){q, scale};
	return true;
}
