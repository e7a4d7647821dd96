/* Cron expressions in croniter's dialect (5 fields; a 6th, seconds, LAST; a 7th, years), on naive local time.
 *
 * An expression becomes one bit set per field. A tick is a second whose every field is in its set; day of month and day of
 * week are joined by "or" when neither is a star. Error classes and texts are croniter's, kept in tm_err.klass and what. */
#include "dag/dag_int.h"

enum { MINUTE, HOUR, DAY, MONTH, DOW, SECOND, YEAR, FIELDS };
#define YEAR_MIN 1970
#define YEAR_MAX 2099
#define SEARCH_YEARS 50
#define EXPR_BYTES_MAX 1000
#define ITEMS_MAX 1000 /* of one field's list while it is being expanded */

static const struct {
	int min, max, all;
} ranges[FIELDS] = {{0, 59, 60}, {0, 23, 24}, {1, 31, 31}, {1, 12, 12}, {0, 6, 7}, {0, 59, 60}, {YEAR_MIN, YEAR_MAX, 130}};
static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

struct tm_cron {
	uint64_t set[FIELDS]; /* bit v; YEAR lives in years */
	bool star[FIELDS];
	uint64_t years[3];
	bool last_day;         /* L in day of month */
	uint32_t near_weekday; /* nW: bit n */
	uint8_t nth[7];        /* per weekday: bit 1..5 = the nth, bit 0 = the last */
	bool has_nth;
};

/* ---- parsing ---- */
struct parse {
	struct tm_str given;        /* the expression as it came */
	char lower[EXPR_BYTES_MAX]; /* lower case, NUL-terminated parts */
	char *field[8];
	int field_count;
	struct tm_err *err;
	struct tm_cron *cron;
	/* the field being expanded: a stack of texts, as croniter pops them */
	int index;
	struct {
		char (*items)[48];
		size_t count;
	} todo;
	bool seen_star, seen[131];
	int seen_count;
};

static tm_rc bad(struct parse *p, const char *klass, const char *text)
{
	tm_fail(p->err, TM_SYNTAX, "%s", text);
	if (p->err)
		snprintf(p->err->klass, sizeof p->err->klass, "%s", klass);
	return TM_SYNTAX;
}
#define BAD(p, ...)                                                                                                                        \
	({                                                                                                                                 \
		char text_[500];                                                                                                           \
		snprintf(text_, sizeof text_, __VA_ARGS__);                                                                                \
		bad(p, "CroniterBadCronError", text_);                                                                                     \
	})

static tm_rc not_alpha(struct parse *p)
{
	char joined[EXPR_BYTES_MAX] = "";
	size_t n = 0;
	for (int i = 0; i < p->field_count; i++)
		n += (size_t)snprintf(joined + n, sizeof joined - n, "%s%s", i ? " " : "", p->field[i]);
	char text[500];
	snprintf(text, sizeof text, "[%.400s] is not acceptable", joined);
	return bad(p, "CroniterNotAlphaError", text);
}

static bool all_digits(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s < '0' || *s > '9')
			return false;
	return true;
}
static int small_int(const char *s)
{
	long v = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		if (v < 100000)
			v = v * 10 + (*s - '0');
	return (int)v;
}

/* A name of the field ("jan", "mon", "l" in the day) -> its text as a number, or "l". */
static const char *alpha(struct parse *p, const char *s, char out[16])
{
	const char *const *names = p->index == MONTH ? months : p->index == DOW ? weekdays : NULL;
	for (int i = 0; names && names[i]; i++)
		if (!strcmp(names[i], s)) {
			snprintf(out, 16, "%d", p->index == MONTH ? i + 1 : i);
			return out;
		}
	if (p->index == DAY && !strcmp(s, "l"))
		return "l";
	return NULL;
}

/* Sunday as 7; day or month 0 where the fields are shifted: croniter's LOWMAP with its exceptions. */
static int value_alias(const struct parse *p, int v)
{
	int low = p->index == DAY && v == 0 ? 1 : p->index == MONTH && v == 0 ? 1 : p->index == DOW && v == 7 ? 0 : -1;
	if (low < 0)
		return v;
	int n = p->field_count;
	bool is_day = p->index == DAY, is_month = p->index == MONTH, is_dow = p->index == DOW;
	if (((is_day || is_month) && n == 5) || ((is_month || is_dow) && n == 6) || n == 7)
		return v;
	return low;
}

static tm_rc todo_push(struct parse *p, const char *text)
{
	for (size_t i = 0; i < p->todo.count; i++)
		if (!strcmp(p->todo.items[i], text))
			return TM_OK;
	if (p->todo.count == ITEMS_MAX || strlen(text) >= sizeof p->todo.items[0])
		return BAD(p, "[%.400s] is not acceptable, too long", p->given.at);
	snprintf(p->todo.items[p->todo.count++], sizeof p->todo.items[0], "%s", text);
	return TM_OK;
}

/* low-high/step: pushes each value back, to be taken one by one. */
static tm_rc expand_range(struct parse *p, const char *low_text, const char *high_text, const char *step_text, int nth)
{
	char lb[16], hb[16];
	int min = ranges[p->index].min, max = ranges[p->index].max;
	if (p->index == DAY && !strcmp(high_text, "l"))
		high_text = "31";
	const char *low_s = all_digits(low_text) ? low_text : alpha(p, low_text, lb);
	if (!low_s)
		return not_alpha(p);
	const char *high_s = all_digits(high_text) ? high_text : alpha(p, high_text, hb);
	if (!high_s)
		return not_alpha(p);
	int step = *step_text ? small_int(step_text) : 1;
	if (step == 0)
		return BAD(p, "[%.300s] step '%.40s' in field %d is not acceptable", p->given.at, step_text, p->index);
	if (!all_digits(low_s) || !all_digits(high_s))
		return BAD(p, "[%.300s] bands '%.40s-%.40s' in field %d are not acceptable", p->given.at, low_s, high_s, p->index);
	int low = value_alias(p, small_int(low_s)), high = value_alias(p, small_int(high_s));
	if ((low > high ? low : high) > max)
		return BAD(p, "%.400s is out of bands", p->given.at);
	char item[48];
#define PUSH_VALUE(v)                                                                                                                      \
	do {                                                                                                                               \
		if (nth > 0)                                                                                                               \
			snprintf(item, sizeof item, "%d#%d", (v), nth);                                                                    \
		else                                                                                                                       \
			snprintf(item, sizeof item, "%d", (v));                                                                            \
		TM_TRY(todo_push(p, item));                                                                                                \
	} while (0)
	if (low > high) {
		int lastv = -1;
		for (int v = low; v <= max; v += step) {
			PUSH_VALUE(v);
			lastv = v;
		}
		/* The step goes on across the end of the cycle. */
		int skip = 0;
		if (lastv >= 0 && lastv - min + step > max - min + 1 && max - lastv < step)
			skip = step - (max - lastv);
		/* croniter counts the skip from the number of values, so one too many falls away. */
		for (int v = min + skip; v <= high; v += step)
			PUSH_VALUE(v);
	} else if (low == high) {
		for (int v = min; v <= max; v += step)
			PUSH_VALUE(v);
	} else {
		for (int v = low; v <= high; v += step)
			PUSH_VALUE(v);
	}
	return TM_OK;
}

/* "x-y" with an optional "/digits": the parts, or false. */
static bool match_range(char *text, char **low, char **high, char **step)
{
	static char none[1] = "";
	char *dash = strchr(text, '-');
	if (!dash || dash == text || strchr(dash + 1, '-'))
		return false;
	char *slash = strchr(dash + 1, '/');
	if (slash && (!all_digits(slash + 1) || slash == dash + 1))
		return false;
	if (!slash && !dash[1])
		return false;
	*dash = 0;
	*low = text;
	*high = dash + 1;
	*step = none;
	if (slash) {
		*slash = 0;
		*step = slash + 1;
	}
	return true;
}

static void see(struct parse *p, int v)
{
	struct tm_cron *c = p->cron;
	int slot = v - ranges[p->index].min;
	if (!p->seen[slot])
		p->seen_count++;
	p->seen[slot] = true;
	if (p->index == YEAR)
		c->years[slot / 64] |= UINT64_C(1) << (slot % 64);
	else
		c->set[p->index] |= UINT64_C(1) << v;
}

/* One item of a list, without its range. */
static tm_rc take_value(struct parse *p, const char *t, int nth, bool last)
{
	char ab[16];
	if (*t == '-')
		return BAD(p, "[%.400s] is not acceptable, negative numbers not allowed", p->given.at);
	size_t n = strlen(t);
	if (p->index == DAY && n > 1 && n < 4 && t[n - 1] == 'w' && t[0] >= '0' && t[0] <= '9') {
		int day = small_int(t);
		if (day < 1 || day > 31)
			return BAD(p, "[%.400s] is not acceptable, out of range", p->given.at);
		p->cron->near_weekday |= 1u << day;
		return TM_OK;
	}
	const char *v = t;
	if (!all_digits(t) && strcmp(t, "*") != 0) {
		v = alpha(p, t, ab);
		if (!v)
			return not_alpha(p);
	}
	if (!strcmp(v, "*")) {
		p->seen_star = true;
		if (p->index == DOW && (nth || last))
			for (int d = 0; d < 7; d++)
				p->cron->nth[d] |= (uint8_t)(last ? 1 : 1 << nth);
		p->cron->has_nth |= p->index == DOW && (nth || last);
		return TM_OK;
	}
	if (!strcmp(v, "l")) {
		p->cron->last_day = true;
		return TM_OK;
	}
	int value = value_alias(p, small_int(v));
	if (value < ranges[p->index].min || value > ranges[p->index].max)
		return BAD(p, "[%.400s] is not acceptable, out of range", p->given.at);
	see(p, value);
	if (p->index == DOW && (nth || last)) {
		p->cron->nth[value] |= (uint8_t)(last ? 1 : 1 << nth);
		p->cron->has_nth = true;
	}
	return TM_OK;
}

/* "mon#2", "1#3" and "l5" in the day of the week. Cuts the text down to the day. */
static tm_rc take_nth(struct parse *p, char **text, int *nth, bool *last)
{
	char *s = *text, *hash = strchr(s, '#');
	if (hash && hash != s && all_digits(hash + 1)) {
		int n = small_int(hash + 1);
		if (n < 1 || n > 5)
			return BAD(p, "[%.300s] is not acceptable. Invalid day_of_week value: '%.40s'", p->given.at, hash + 1);
		*hash = 0;
		*nth = n;
	} else if (*s == 'l' && all_digits(s + 1)) {
		*last = true;
		*text = s + 1;
	}
	return TM_OK;
}

static tm_rc take_item(struct parse *p, char *item)
{
	int nth = 0;
	bool last = false;
	char t[80], *low, *high, *step;
	if (p->index == DOW)
		TM_TRY(take_nth(p, &item, &nth, &last));
	if (item[0] == '*' && item[1] == '/' && item[2])
		snprintf(t, sizeof t, "%d-%d%s", ranges[p->index].min, ranges[p->index].max, item + 1);
	else
		snprintf(t, sizeof t, "%s", item);
	char whole[80];
	snprintf(whole, sizeof whole, "%s", t);
	if (!match_range(t, &low, &high, &step)) {
		const char *slash = strrchr(item, '/');
		if (!slash || slash == item || !slash[1]) {
			return take_value(p, whole, nth, last);
		}
		snprintf(t, sizeof t, "%.*s-%d/%s", (int)(slash - item), item, ranges[p->index].max, slash + 1);
		if (!match_range(t, &low, &high, &step))
			return take_value(p, item, nth, last);
	}
	return expand_range(p, low, high, step, nth);
}

/* Jenkins' hashed fields: r picks at random, once per expression; h needs an identity that schedules do not give. */
static tm_rc expand_random(struct parse *p, char *field, char out[48])
{
	int a = ranges[p->index].min, b = p->index == DAY ? 28 : ranges[p->index].max, divisor = 0, n = 0;
	const char *s = field + 1;
	if (*s == '(') {
		if (sscanf(s, "(%4d-%4d)%n", &a, &b, &n) != 2 || !n)
			return TM_OK;
		s += n;
	}
	if (*s == '/') {
		if (!all_digits(s + 1))
			return TM_OK;
		divisor = small_int(s + 1);
		s += strlen(s);
	}
	if (*s)
		return TM_OK;
	if (*field == 'h')
		return BAD(p, "Hashed definitions must include hash_id");
	if (b < a || (divisor == 0 && s[-1] == '0'))
		return BAD(p, "Range end must be greater than range begin");
	uint32_t r;
	tm_random(tm_env_real(), &r, sizeof r);
	if (divisor)
		snprintf(out, 48, "%d-%d/%d", a + (int)(r % (uint32_t)divisor), b, divisor);
	else
		snprintf(out, 48, "%d", a + (int)(r % (uint32_t)(b - a + 1)));
	return TM_OK;
}

static tm_rc take_field(struct parse *p)
{
	char random[48] = "", *field = p->field[p->index];
	if (*field == 'h' || *field == 'r')
		TM_TRY(expand_random(p, field, random));
	char copy[EXPR_BYTES_MAX];
	snprintf(copy, sizeof copy, "%s", *random ? random : field);
	if (strchr(copy, '?')) {
		if (strcmp(copy, "?") != 0)
			return BAD(p, "[%.400s] is not acceptable. Question mark can not used with other characters", p->given.at);
		if (p->index != DAY && p->index != DOW)
			return BAD(p, "[%.300s] is not acceptable. Question mark can only used in day_of_month or day_of_week",
				   p->given.at);
		snprintf(copy, sizeof copy, "*");
	}
	p->todo.count = 0;
	p->seen_star = false;
	p->seen_count = 0;
	memset(p->seen, 0, sizeof p->seen);
	struct tm_str rest = tm_str_of(copy), part;
	while (tm_str_split(&rest, ',', &part)) {
		if (part.len >= sizeof p->todo.items[0] || p->todo.count == ITEMS_MAX)
			return BAD(p, "[%.400s] is not acceptable, too long", p->given.at);
		memcpy(p->todo.items[p->todo.count], part.at ? part.at : "", part.len);
		p->todo.items[p->todo.count++][part.len] = 0;
	}
	if (!p->todo.count)
		return not_alpha(p);
	while (p->todo.count) {
		char item[48];
		memcpy(item, p->todo.items[--p->todo.count], sizeof item);
		TM_TRY(take_item(p, item));
	}
	struct tm_cron *c = p->cron;
	c->star[p->index] = p->seen_star;
	if (p->seen_count == ranges[p->index].all) {
		/* A full list is a star, except where the other day field would then lose its "or". */
		bool keep = (p->index == DAY && !strchr(p->field[DOW], '*')) || (p->index == DOW && !strchr(p->field[DAY], '*'));
		if (!keep)
			c->star[p->index] = true;
	}
	return TM_OK;
}

/* "mon,wed#2": croniter cannot mix plain and nth weekdays. */
static tm_rc check_nth(struct parse *p)
{
	struct tm_cron *c = p->cron;
	if (!c->has_nth || c->star[DOW])
		return TM_OK;
	uint64_t plain = 0;
	for (int d = 0; d < 7; d++)
		if (c->set[DOW] >> d & 1 && !c->nth[d])
			plain |= UINT64_C(1) << d;
	if (!plain || __builtin_popcountll(c->set[DOW]) == 7)
		return TM_OK;
	struct tm_buf text = {0};
	tm_buf_printf(&text,
		      "day-of-week field does not support mixing literal values and nth day of week syntax.  Cron: '%.200s'    dow={",
		      p->given.at);
	bool first = true;
	for (int d = 0; d < 7; d++)
		if (plain >> d & 1) {
			tm_buf_printf(&text, "%s%d", first ? "" : ", ", d);
			first = false;
		}
	tm_buf_cstr_put(&text, "} vs nth={");
	first = true;
	for (int d = 0; d < 7; d++) {
		if (!c->nth[d])
			continue;
		tm_buf_printf(&text, "%s%d: {", first ? "" : ", ", d);
		first = false;
		for (int n = 1, one = 1; n <= 5; n++)
			if (c->nth[d] >> n & 1) {
				tm_buf_printf(&text, "%s%d", one ? "" : ", ", n);
				one = 0;
			}
		tm_buf_cstr_put(&text, c->nth[d] & 1 ? "'l'}" : "}");
	}
	tm_buf_char(&text, '}');
	bad(p, "CroniterUnsupportedSyntaxError", tm_buf_cstr(&text));
	tm_buf_done(&text);
	return TM_SYNTAX;
}

static tm_rc parse_all(struct parse *p)
{
	static const char *const aliases[][2] = {{"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},
						 {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
						 {"@annually", "0 0 1 1 *"}};
	struct tm_str expr = p->given;
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (tm_str_iis(expr, aliases[i][0]))
			expr = tm_str_of(aliases[i][1]);
	for (size_t i = 0; i < expr.len; i++)
		p->lower[i] = expr.at[i] >= 'A' && expr.at[i] <= 'Z' ? (char)(expr.at[i] + 32) : expr.at[i];
	p->lower[expr.len] = 0;
	int n = 0;
	char *save = NULL;
	for (char *f = strtok_r(p->lower, " \t\r\n\v\f", &save); f; f = strtok_r(NULL, " \t\r\n\v\f", &save)) {
		if (n == 8)
			break;
		p->field[n++] = f;
	}
	p->field_count = n;
	if (n < 5 || n > 7)
		return BAD(p, "Exactly 5, 6 or 7 columns has to be specified for iterator expression.");
	struct tm_cron *c = p->cron;
	for (p->index = 0; p->index < n; p->index++)
		TM_TRY(take_field(p));
	if (n < 6)
		c->set[SECOND] = 1;
	if (n < 7)
		c->star[YEAR] = true;
	static const uint64_t full[FIELDS] = {
	    (UINT64_C(1) << 60) - 1, (1u << 24) - 1, 0xFFFFFFFEu, 0x1FFEu, 0x7Fu, (UINT64_C(1) << 60) - 1, 0};
	for (int i = MINUTE; i <= SECOND; i++)
		if (c->star[i])
			c->set[i] = full[i];
	return check_nth(p);
}

tm_rc tm_cron_parse(struct tm_str expr, struct tm_cron **ret, struct tm_err *err)
{
	if (expr.len >= EXPR_BYTES_MAX || memchr(expr.at ? expr.at : "", 0, expr.len))
		return tm_fail(err, TM_LIMIT, "the cron expression is longer than %d bytes or holds a zero byte", EXPR_BYTES_MAX - 1);
	struct parse *p = tm_zalloc(sizeof *p);
	char *given = tm_alloc(expr.len + 1);
	memcpy(given, expr.at ? expr.at : "", expr.len);
	given[expr.len] = 0;
	p->given = (struct tm_str){given, expr.len};
	p->err = err;
	p->cron = tm_zalloc(sizeof *p->cron);
	p->todo.items = tm_alloc(sizeof *p->todo.items * ITEMS_MAX);
	tm_rc rc = parse_all(p);
	if (rc == TM_OK)
		*ret = p->cron;
	else
		tm_cron_free(p->cron);
	free(p->todo.items);
	free(given);
	free(p);
	return rc;
}

void tm_cron_free(struct tm_cron *c) { free(c); }
bool tm_cron_every_hour(const struct tm_cron *c) { return c->star[HOUR]; }

/* ---- searching ---- */
enum day_rule { BOTH, DAY_ONLY, DOW_ONLY };

static int weekday(int64_t days) { return (int)(((days + 4) % 7 + 7) % 7); }

static bool near_weekday_is(const struct tm_cron *c, int64_t y, int m, int d, int64_t days)
{
	int n = tm_date_month_days(y, m);
	for (int target = 1; target <= n; target++) {
		if (!(c->near_weekday >> target & 1))
			continue;
		int w = weekday(days + target - d), at = target;
		if (w == 6)
			at = target > 1 ? target - 1 : target + 2;
		else if (w == 0)
			at = target < n ? target + 1 : target - 2;
		if (at == d)
			return true;
	}
	return false;
}

static bool day_matches(const struct tm_cron *c, enum day_rule rule, int64_t y, int m, int d, int64_t days)
{
	bool day_star = c->star[DAY] || rule == DOW_ONLY, dow_star = c->star[DOW] || rule == DAY_ONLY;
	if (!day_star) {
		bool in = c->set[DAY] >> d & 1 || (c->last_day && d == tm_date_month_days(y, m)) ||
			  (c->near_weekday && near_weekday_is(c, y, m, d, days));
		if (!in)
			return false;
	}
	int w = weekday(days);
	if (c->has_nth)
		return c->nth[w] >> ((d - 1) / 7 + 1) & 1 || (c->nth[w] & 1 && d + 7 > tm_date_month_days(y, m));
	return dow_star || c->set[DOW] >> w & 1;
}

static bool year_in(const struct tm_cron *c, int64_t y)
{
	if (c->star[YEAR])
		return true;
	int slot = y - YEAR_MIN;
	return slot >= 0 && slot <= YEAR_MAX - YEAR_MIN && c->years[slot / 64] >> (slot % 64) & 1;
}

/* Lowest bit >= from, or -1; highest bit <= from, or -1. */
static int bit_up(uint64_t set, int from)
{
	if (from > 63)
		return -1;
	set &= ~UINT64_C(0) << from;
	return set ? __builtin_ctzll(set) : -1;
}
static int bit_down(uint64_t set, int from)
{
	if (from < 0)
		return -1;
	set &= from >= 63 ? ~UINT64_C(0) : (UINT64_C(1) << (from + 1)) - 1;
	return set ? 63 - __builtin_clzll(set) : -1;
}

/* First second of the day at or after `from`, -1 = none left. */
static int time_up(const struct tm_cron *c, int from)
{
	int h = from / 3600, m = from / 60 % 60, s = from % 60;
	int hh = bit_up(c->set[HOUR], h);
	if (hh == h) {
		int mm = bit_up(c->set[MINUTE], m);
		if (mm == m) {
			int ss = bit_up(c->set[SECOND], s);
			if (ss >= 0)
				return h * 3600 + m * 60 + ss;
			mm = bit_up(c->set[MINUTE], m + 1);
		}
		if (mm >= 0)
			return h * 3600 + mm * 60 + bit_up(c->set[SECOND], 0);
		hh = bit_up(c->set[HOUR], h + 1);
	}
	return hh < 0 ? -1 : hh * 3600 + bit_up(c->set[MINUTE], 0) * 60 + bit_up(c->set[SECOND], 0);
}
static int time_down(const struct tm_cron *c, int from)
{
	int h = from / 3600, m = from / 60 % 60, s = from % 60;
	int hh = bit_down(c->set[HOUR], h);
	if (hh == h) {
		int mm = bit_down(c->set[MINUTE], m);
		if (mm == m) {
			int ss = bit_down(c->set[SECOND], s);
			if (ss >= 0)
				return h * 3600 + m * 60 + ss;
			mm = bit_down(c->set[MINUTE], m - 1);
		}
		if (mm >= 0)
			return h * 3600 + mm * 60 + bit_down(c->set[SECOND], 63);
		hh = bit_down(c->set[HOUR], h - 1);
	}
	return hh < 0 ? -1 : hh * 3600 + bit_down(c->set[MINUTE], 63) * 60 + bit_down(c->set[SECOND], 63);
}

/* The nearest tick at or beyond t in direction step (+1, -1); false when none within the years searched. */
static bool search(const struct tm_cron *c, enum day_rule rule, int64_t t, int step, int64_t *ret)
{
	int64_t days = tm_floor_div(t, 86400);
	int64_t y;
	int second = (int)(t - days * 86400), m, d;
	tm_civil_of(days, &y, &m, &d);
	int64_t start_year = y;
	while ((step > 0 ? y - start_year : start_year - y) <= SEARCH_YEARS) {
		if (!year_in(c, y)) {
			y += step;
			m = step > 0 ? 1 : 12;
			d = step > 0 ? 1 : 31;
		} else if (!(c->set[MONTH] >> m & 1)) {
			m += step;
			if (m < 1 || m > 12) {
				m = step > 0 ? 1 : 12;
				y += step;
			}
			d = step > 0 ? 1 : tm_date_month_days(y, m);
		} else {
			days = tm_date_days(y, m, d);
			if (day_matches(c, rule, y, m, d, days)) {
				int at = step > 0 ? time_up(c, second) : time_down(c, second);
				if (at >= 0) {
					*ret = days * 86400 + at;
					return true;
				}
			}
			tm_civil_of(days + step, &y, &m, &d);
		}
		second = step > 0 ? 0 : 86399;
	}
	return false;
}

static tm_rc find(const struct tm_cron *c, int64_t t, int step, int64_t *ret, struct tm_err *err)
{
	int64_t a, b;
	bool found;
	if (!c->star[DAY] && !c->star[DOW]) {
		found = search(c, DAY_ONLY, t + step, step, &a) && search(c, DOW_ONLY, t + step, step, &b);
		if (found && (step > 0 ? b < a : b > a))
			a = b;
	} else {
		found = search(c, BOTH, t + step, step, &a);
	}
	if (!found) {
		tm_fail(err, TM_DATA, "failed to find %s date", step > 0 ? "next" : "prev");
		if (err)
			snprintf(err->klass, sizeof err->klass, "CroniterBadDateError");
		return TM_DATA;
	}
	*ret = a;
	return TM_OK;
}

tm_rc tm_cron_next(const struct tm_cron *c, int64_t t, int64_t *ret, struct tm_err *err) { return find(c, t, 1, ret, err); }
tm_rc tm_cron_prev(const struct tm_cron *c, int64_t t, int64_t *ret, struct tm_err *err) { return find(c, t, -1, ret, err); }
