/* Assertions, names of the session, randomness, null for zero, URLs. */
#include "sql/fn_list.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>

/* ---- assertions ---- */
static tm_rc raised(struct tm_eval *ev, struct tm_str message)
{
	return tm_fail_class(ev->err, TM_DATA, "USER_RAISED_EXCEPTION", "P0001", "%.*s", TM_STR_ARG(message));
}
KERNEL_VOLATILE(raise_error)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		return raised(ev, tm_is_null(&args[0], i) ? TM_STR("null") : STR_AT(0, i));
	if (call->type->kind != TM_T_NULL)
		tm_column_init_null(ret, ev->arena, call->type, ev->rows);
	return TM_OK;
}
BIND(raise_error)
{
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	return fn_is(b, &tm_k_raise_error, &tm_type_null, true);
}
KERNEL_VOLATILE(assert_true) /* bound: the condition's text */
{
	const struct tm_str *text = call->bound;
	for (size_t i = 0; i < ev->rows; i++) {
		if (!tm_is_null(&args[0], i) && AT(0, boolean, i))
			continue;
		if (call->arg_count > 1)
			return raised(ev, tm_is_null(&args[1], i) ? TM_STR("null") : STR_AT(1, i));
		return raised(ev, tm_arena_printf(ev->arena, "'%.*s' is not true!", TM_STR_ARG(*text)));
	}
	tm_column_init_null(ret, ev->arena, call->type, ev->rows);
	return TM_OK;
}
BIND(assert_true)
{
	struct tm_str *text = TM_NEW(b->arena, struct tm_str);
	TM_TRY(fn_want(b, 0, &tm_type_boolean, err));
	if (b->arg_count > 1)
		TM_TRY(fn_want(b, 1, &tm_type_string, err));
	*text = b->args[0].expr->text;
	b->bound = text;
	return fn_is(b, &tm_k_assert_true, &tm_type_null, true);
}

/* ---- names ---- */
KERNEL(constant_text) /* bound: struct tm_str */
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->str[i] = *(const struct tm_str *)call->bound;
	return TM_OK;
}
/* variant: 0 database, 1 user, 2 catalog, 3 version, 4 nothing */
BIND(session_name)
{
	struct tm_str *s = TM_NEW(b->arena, struct tm_str);
	switch (fn_variant(b)) {
	case 0:
		*s = b->session->current_database.len ? b->session->current_database : TM_STR("default");
		break;
	case 1:
		*s = b->session->user.len ? b->session->user : TM_STR("root");
		break;
	case 2:
		*s = TM_STR("spark_catalog");
		break;
	case 4:
		*s = TM_STR("");
		break;
	default:
		*s = TM_STR("4.3.0 " TM_VERSION);
	}
	b->bound = s;
	return fn_is(b, &tm_k_constant_text, &tm_type_string, false);
}

/* ---- null and zero ---- */
KERNEL(null_if_zero)
{
	struct tm_column flat = args[0];
	tm_column_flatten(&flat, ev->arena);
	size_t w = tm_type_width(flat.type);
	fn_begin(ev, call, args, ret);
	memcpy(ret->data, flat.data, ev->rows * w);
	for (size_t i = 0; i < ev->rows; i++) {
		static const char zeros[16];
		bool zero = flat.type->kind == TM_T_DOUBLE  ? flat.f64[i] == 0
			    : flat.type->kind == TM_T_FLOAT ? flat.f32[i] == 0
							    : memcmp((const char *)flat.data + i * w, zeros, w) == 0;
		if (zero)
			fn_null(ev, ret, i);
	}
	return TM_OK;
}
KERNEL(zero_if_null)
{
	struct tm_column flat = args[0];
	tm_column_flatten(&flat, ev->arena);
	size_t w = tm_type_width(call->type);
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		if (tm_is_null(&flat, i))
			memset((char *)ret->data + i * w, 0, w);
		else
			memcpy((char *)ret->data + i * w, (const char *)flat.data + i * w, w);
	}
	return TM_OK;
}
/* variant: 0 nullifzero, 1 zeroifnull */
BIND(zero_null)
{
	const struct tm_type *t = b->args[0].type;
	if (t->kind == TM_T_NULL)
		b->cast[0] = &tm_type_int;
	else if (!tm_type_numeric(t))
		TM_TRY(fn_want(b, 0, &tm_type_double, err));
	return fn_is(b, fn_variant(b) ? &tm_k_zero_if_null : &tm_k_null_if_zero, fn_type(b, 0), !fn_variant(b));
}

/* ---- randomness ---- from the environment; with a seed a sequence of its own per batch */
struct random {
	uint64_t state;
	const struct tm_env *env;
	bool seeded;
};
static uint64_t random_next(struct random *r)
{
	uint64_t v;
	if (!r->seeded) {
		tm_random(r->env, &v, sizeof v);
		return v;
	}
	r->state += 0x9E3779B97F4A7C15u;
	v = r->state;
	v = (v ^ v >> 30) * 0xBF58476D1CE4E5B9u;
	v = (v ^ v >> 27) * 0x94D049BB133111EBu;
	return v ^ v >> 31;
}
static struct random random_of(struct tm_eval *ev, const struct tm_column *seed)
{
	struct random r = {.env = ev->session->env ? ev->session->env : tm_env_real()};
	if (seed && ev->rows && !tm_is_null(seed, 0)) {
		r.seeded = true;
		r.state = (uint64_t)seed->i64[0];
	}
	return r;
}
static double unit(struct random *r) { return (double)(random_next(r) >> 11) * 0x1p-53; }
KERNEL_VOLATILE(rand)
{
	struct random r = random_of(ev, call->arg_count ? &args[0] : NULL);
	bool normal = call->bound;
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->f64[i] = normal ? sqrt(-2 * log(1 - unit(&r))) * cos(2 * 3.14159265358979323846 * unit(&r)) : unit(&r);
	return TM_OK;
}
/* variant: 1 normal distribution */
BIND(rand)
{
	if (b->arg_count)
		TM_TRY(fn_want(b, 0, &tm_type_bigint, err));
	b->bound = fn_variant(b) ? "" : NULL;
	return fn_is(b, &tm_k_rand, &tm_type_double, false);
}
KERNEL_VOLATILE(uuid)
{
	struct random r = random_of(ev, NULL);
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++) {
		uint64_t a = random_next(&r), b = random_next(&r);
		a = (a & ~(uint64_t)0xF000) | 0x4000;
		b = (b & ~((uint64_t)3 << 62)) | (uint64_t)1 << 63;
		ret->str[i] = tm_arena_printf(ev->arena, "%08llx-%04llx-%04llx-%04llx-%012llx", (unsigned long long)(a >> 32),
					      (unsigned long long)(a >> 16 & 0xFFFF), (unsigned long long)(a & 0xFFFF),
					      (unsigned long long)(b >> 48), (unsigned long long)(b & 0xFFFFFFFFFFFFu));
	}
	return TM_OK;
}
KERNEL_VOLATILE(randstr)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct random r = random_of(ev, call->arg_count > 1 ? &args[1] : NULL);
	fn_begin_some(ev, call, args, 1, ret);
	FN_ROWS(i)
	{
		int32_t n = AT(0, i32, i);
		void *out;
		if (n < 0)
			return tm_fail_class(ev->err, TM_DATA, "INVALID_PARAMETER_VALUE.LENGTH", "22023",
					     "The value of parameter(s) `length` in `randstr` is invalid: Expects `length` greater than or "
					     "equal to 0, but got %d.",
					     n);
		TM_TRY(fn_try(ev, (size_t)n, &out));
		struct random row = {.seeded = true};
		if (!r.seeded)
			row.state = random_next(&r); /* one question to the system a text, not one a letter */
		for (int32_t j = 0; j < n; j++)
			((char *)out)[j] = letters[random_next(r.seeded ? &r : &row) % 62];
		ret->str[i] = tm_str_n(out, (size_t)n);
	}
	return TM_OK;
}
KERNEL_VOLATILE(monotonic_id) /* the number of the row within its batch, the batch's number above it */
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->i64[i] = (ev->session->batch_id << 33) + (int64_t)i;
	return TM_OK;
}

/* ---- URLs ---- */
KERNEL(url_encode)
{
	struct tm_buf b = {0};
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct tm_str s = STR_AT(0, i);
		for (size_t j = 0; j < s.len; j++) {
			unsigned char c = (unsigned char)s.at[j];
			if (c < 0x80 && (isalnum(c) || strchr(".-*_", c)))
				tm_buf_char(&b, (char)c);
			else if (c == ' ')
				tm_buf_char(&b, '+');
			else
				tm_buf_printf(&b, "%%%02X", c);
		}
		ret->str[i] = fn_buf(ev, &b);
	}
	tm_buf_done(&b);
	return TM_OK;
}
static int hex_digit(char c) { return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10 : -1; }
static bool url_decode(struct tm_str s, struct tm_buf *b)
{
	for (size_t j = 0; j < s.len; j++) {
		if (s.at[j] != '%') {
			tm_buf_char(b, s.at[j] == '+' ? ' ' : s.at[j]);
			continue;
		}
		int hi = j + 2 < s.len ? hex_digit(s.at[j + 1]) : -1, lo = j + 2 < s.len ? hex_digit(s.at[j + 2]) : -1;
		if (j + 2 == s.len - 0 || hi < 0 || lo < 0)
			return false;
		tm_buf_char(b, (char)(hi << 4 | lo));
		j += 2;
	}
	return true;
}
KERNEL(url_decode)
{
	struct tm_buf b = {0};
	tm_rc rc = TM_OK;
	fn_begin(ev, call, args, ret);
	for (size_t i = 0; i < ev->rows && rc == TM_OK; i++) {
		if (ret->valid && !ret->valid[i])
			continue;
		b.len = 0;
		if (url_decode(STR_AT(0, i), &b))
			ret->str[i] = fn_buf(ev, &b);
		else if (call->bound)
			fn_null(ev, ret, i);
		else
			rc = tm_fail_class(
			    ev->err, TM_DATA, "CANNOT_DECODE_URL", "22546",
			    "The provided URL cannot be decoded: %.*s. Please ensure that the URL is properly formatted and try again.",
			    TM_STR_ARG(STR_AT(0, i)));
	}
	tm_buf_done(&b);
	return rc;
}
BIND(url_decode) { return fn_bind_try(b, &tm_k_url_decode, &tm_type_string, err); }

/* scheme://user@host:port/path?query#ref; at NULL = missing */
struct url {
	struct tm_str scheme, authority, user, host, path, query, ref;
};
static bool url_split(struct tm_str s, struct url *ret)
{
	struct url u = {0};
	for (size_t j = 0; j < s.len; j++)
		if ((unsigned char)s.at[j] <= ' ' || strchr("\"<>\\^`{|}", s.at[j]) ||
		    (s.at[j] == '%' && (j + 2 >= s.len || hex_digit(s.at[j + 1]) < 0 || hex_digit(s.at[j + 2]) < 0)))
			return false;
	size_t at = 0, end = tm_str_find(s, TM_STR("#"), 0);
	if (end != SIZE_MAX)
		u.ref = tm_str_slice(s, end + 1, s.len);
	s = tm_str_slice(s, 0, end == SIZE_MAX ? s.len : end);
	while (at < s.len && (isalnum((unsigned char)s.at[at]) || strchr("+-.", s.at[at])))
		at++;
	if (at && at < s.len && s.at[at] == ':') {
		u.scheme = tm_str_slice(s, 0, at);
		s = tm_str_slice(s, at + 1, s.len);
	}
	if (tm_str_starts(s, TM_STR("//"))) {
		size_t stop = 2;
		while (stop < s.len && s.at[stop] != '/' && s.at[stop] != '?')
			stop++;
		u.authority = tm_str_slice(s, 2, stop);
		s = tm_str_slice(s, stop, s.len);
		struct tm_str host = u.authority;
		size_t user = tm_str_find(host, TM_STR("@"), 0);
		if (user != SIZE_MAX) {
			u.user = tm_str_slice(host, 0, user);
			host = tm_str_slice(host, user + 1, host.len);
		}
		size_t port = host.len;
		while (port > 0 && isdigit((unsigned char)host.at[port - 1]))
			port--;
		if (port > 0 && host.at[port - 1] == ':')
			host.len = port - 1;
		u.host = host;
	}
	size_t query = tm_str_find(s, TM_STR("?"), 0);
	if (query != SIZE_MAX)
		u.query = tm_str_slice(s, query + 1, s.len);
	u.path = tm_str_slice(s, 0, query == SIZE_MAX ? s.len : query);
	*ret = u;
	return true;
}
static struct tm_str url_part(struct tm_eval *ev, const struct url *u, struct tm_str part, const struct tm_str *key)
{
	if (tm_str_is(part, "HOST"))
		return u->host.len ? u->host : (struct tm_str){0};
	if (tm_str_is(part, "PATH"))
		return u->path;
	if (tm_str_is(part, "REF"))
		return u->ref;
	if (tm_str_is(part, "PROTOCOL"))
		return u->scheme;
	if (tm_str_is(part, "AUTHORITY"))
		return u->authority;
	if (tm_str_is(part, "USERINFO"))
		return u->user;
	if (tm_str_is(part, "FILE"))
		return u->query.at ? tm_arena_printf(ev->arena, "%.*s?%.*s", TM_STR_ARG(u->path), TM_STR_ARG(u->query)) : u->path;
	if (!tm_str_is(part, "QUERY") || !u->query.at)
		return (struct tm_str){0};
	if (!key)
		return u->query;
	struct tm_str rest = u->query, pair;
	while (tm_str_split(&rest, '&', &pair)) {
		if (pair.len > key->len && tm_str_starts(pair, *key) && pair.at[key->len] == '=')
			return tm_str_slice(pair, key->len + 1, pair.len);
	}
	return (struct tm_str){0};
}
KERNEL(parse_url)
{
	fn_begin(ev, call, args, ret);
	FN_ROWS(i)
	{
		struct url u;
		if (!url_split(STR_AT(0, i), &u)) {
			if (ev->session->ansi && !call->bound)
				return tm_fail_class(
				    ev->err, TM_DATA, "INVALID_URL", "22P02",
				    "The url is invalid: %.*s. Use `try_parse_url` to tolerate invalid URL and return NULL instead.",
				    TM_STR_ARG(STR_AT(0, i)));
			fn_null(ev, ret, i);
			continue;
		}
		struct tm_str key = call->arg_count > 2 ? STR_AT(2, i) : (struct tm_str){0};
		struct tm_str part = url_part(ev, &u, STR_AT(1, i), call->arg_count > 2 ? &key : NULL);
		if (part.at)
			ret->str[i] = part;
		else
			fn_null(ev, ret, i);
	}
	return TM_OK;
}
BIND(parse_url)
{
	for (size_t i = 0; i < b->arg_count; i++)
		TM_TRY(fn_want(b, i, &tm_type_string, err));
	b->bound = fn_variant(b) ? "" : NULL;
	return fn_is(b, &tm_k_parse_url, &tm_type_string, true);
}

/* Strings are compared by their bytes only. */
BIND(collate)
{
	struct tm_str name;
	TM_TRY(fn_want(b, 0, &tm_type_string, err));
	if (!fn_literal_str(b, 1, &name) || !tm_str_iis(name, "UTF8_BINARY"))
		return tm_fail_class(err, TM_UNSUPPORTED, "UNSUPPORTED_FEATURE.COLLATION", "0A000",
				     "The collation \"%.*s\" is not supported: strings are compared as UTF8_BINARY.",
				     TM_STR_ARG(b->args[1].expr->text));
	b->replacement = b->args[0].expr;
	return TM_OK;
}
KERNEL(partition_id)
{
	fn_begin_raw(ev, call, ret);
	for (size_t i = 0; i < ev->rows; i++)
		ret->i32[i] = 0;
	return TM_OK;
}
