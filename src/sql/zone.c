/* Time zones: ICU's rules, unfolded once per zone into an immutable table of transitions, so that asking is a binary search
 * without locks. Beyond the table's end the rules repeat with the calendar's cycle of 400 years. */
#include "sql/datetime.h"
#include <pthread.h>
#include <stdlib.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

#define CYCLE_SECONDS ((int64_t)146097 * 86400)
#define TABLE_START ((int64_t)-5680281600) /* 1790 */
#define TABLE_END ((int64_t)14831769600)   /* 2440 */

struct tm_sql_zone {
	struct tm_str id;
	bool fixed;
	int32_t offset; /* fixed; else before the first transition */
	size_t count;
	int64_t *at;    /* UTC seconds of transitions */
	int32_t *after; /* offset from then on */
	struct tm_sql_zone *next;
};
static struct tm_sql_zone utc = {.id = {"UTC", 3}, .fixed = true}, zulu = {.id = {"Z", 1}, .fixed = true};
static struct tm_sql_zone *zones;
static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER;

const struct tm_sql_zone *tm_sql_zone_utc(void) { return &utc; }
struct tm_str tm_sql_zone_id(const struct tm_sql_zone *zone) { return zone->id; }

static bool digits(struct tm_str s, size_t at, size_t n, int *ret)
{
	if (at + n > s.len)
		return false;
	*ret = 0;
	for (size_t i = at; i < at + n; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		*ret = *ret * 10 + (s.at[i] - '0');
	}
	return true;
}

/* +h, +hh, +h:mm, +hh:mm, +hhmm, +hh:mm:ss, +hhmmss */
static bool offset_parse(struct tm_str s, int32_t *ret)
{
	int h = 0, m = 0, sec = 0;
	if (s.len < 2 || (s.at[0] != '+' && s.at[0] != '-'))
		return false;
	size_t i = 1;
	if (s.len == 2 || s.at[2] == ':') {
		if (!digits(s, i, 1, &h))
			return false;
		i += 1;
	} else {
		if (!digits(s, i, 2, &h))
			return false;
		i += 2;
	}
	if (i < s.len) {
		bool colon = s.at[i] == ':';
		i += colon;
		if (colon && i + 1 == s.len) {
			if (!digits(s, i, 1, &m))
				return false;
			i++;
		} else {
			if (!digits(s, i, 2, &m))
				return false;
			i += 2;
		}
		if (i < s.len) {
			if ((s.at[i] == ':') != colon)
				return false;
			i += colon;
			if (!digits(s, i, 2, &sec))
				return false;
			i += 2;
		}
	}
	int32_t total = (h * 60 + m) * 60 + sec;
	if (i != s.len || m > 59 || sec > 59 || total > 18 * 3600)
		return false;
	*ret = s.at[0] == '-' ? -total : total;
	return true;
}

/* Old three-letter names, as java.time.ZoneId.SHORT_IDS. */
static const char *const short_ids[][2] = {{"ACT", "Australia/Darwin"},
					   {"AET", "Australia/Sydney"},
					   {"AGT", "America/Argentina/Buenos_Aires"},
					   {"ART", "Africa/Cairo"},
					   {"AST", "America/Anchorage"},
					   {"BET", "America/Sao_Paulo"},
					   {"BST", "Asia/Dhaka"},
					   {"CAT", "Africa/Harare"},
					   {"CNT", "America/St_Johns"},
					   {"CST", "America/Chicago"},
					   {"CTT", "Asia/Shanghai"},
					   {"EAT", "Africa/Addis_Ababa"},
					   {"ECT", "Europe/Paris"},
					   {"IET", "America/Indiana/Indianapolis"},
					   {"IST", "Asia/Kolkata"},
					   {"JST", "Asia/Tokyo"},
					   {"MIT", "Pacific/Apia"},
					   {"NET", "Asia/Yerevan"},
					   {"NST", "Pacific/Auckland"},
					   {"PLT", "Asia/Karachi"},
					   {"PNT", "America/Phoenix"},
					   {"PRT", "America/Puerto_Rico"},
					   {"PST", "America/Los_Angeles"},
					   {"SST", "Pacific/Guadalcanal"},
					   {"VST", "Asia/Ho_Chi_Minh"},
					   {"EST", "-05:00"},
					   {"MST", "-07:00"},
					   {"HST", "-10:00"}};

static int32_t calendar_offset(UCalendar *cal)
{
	UErrorCode status = U_ZERO_ERROR;
	int32_t ms = ucal_get(cal, UCAL_ZONE_OFFSET, &status) + ucal_get(cal, UCAL_DST_OFFSET, &status);
	return ms / 1000;
}

static bool zone_load(struct tm_sql_zone *zone)
{
	UChar id[128];
	UErrorCode status = U_ZERO_ERROR;
	u_charsToUChars(zone->id.at, id, (int32_t)zone->id.len);
	id[zone->id.len] = 0;
	UChar canonical[128];
	ucal_getCanonicalTimeZoneID(id, -1, canonical, 128, NULL, &status);
	if (U_FAILURE(status))
		return false;
	UCalendar *cal = ucal_open(id, -1, "en_US", UCAL_GREGORIAN, &status);
	if (U_FAILURE(status))
		return false;
	struct {
		int64_t *items;
		size_t count, cap;
	} at = {0};
	struct {
		int32_t *items;
		size_t count, cap;
	} after = {0};
	UDate when = (double)TABLE_START * 1000;
	ucal_setMillis(cal, when, &status);
	zone->offset = calendar_offset(cal);
	while (ucal_getTimeZoneTransitionDate(cal, UCAL_TZ_TRANSITION_NEXT, &when, &status) && U_SUCCESS(status)) {
		int64_t seconds = (int64_t)(when / 1000);
		if (seconds > TABLE_END)
			break;
		ucal_setMillis(cal, when, &status);
		int32_t offset = calendar_offset(cal);
		if (offset != (after.count ? after.items[after.count - 1] : zone->offset)) {
			TM_PUSH(&at, seconds);
			TM_PUSH(&after, offset);
		}
	}
	ucal_close(cal);
	zone->count = at.count;
	zone->at = at.items;
	zone->after = after.items;
	return true;
}

static bool region_shape(struct tm_str id)
{
	if (id.len < 2 || id.len > 60)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.at[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (i && ((c >= '0' && c <= '9') || strchr("/._~+-", c)))))
			return false;
	}
	return true;
}

static struct tm_sql_zone *zone_make(struct tm_str id)
{
	struct tm_sql_zone *zone = tm_zalloc(sizeof *zone);
	zone->id = tm_str_dup(id);
	if (offset_parse(id, &zone->offset)) {
		zone->fixed = true;
		return zone;
	}
	static const char *const prefixes[] = {"UTC", "GMT", "UT"};
	for (size_t i = 0; i < 3; i++) {
		struct tm_str p = tm_str_of(prefixes[i]);
		if (!tm_str_starts(id, p))
			continue;
		if (id.len == p.len || offset_parse(tm_str_slice(id, p.len, id.len), &zone->offset)) {
			zone->fixed = true;
			return zone;
		}
	}
	if (region_shape(id) && zone_load(zone))
		return zone;
	free((void *)zone->id.at);
	free(zone);
	return NULL;
}

const struct tm_sql_zone *tm_sql_zone_find(struct tm_str id)
{
	while (id.len && id.at[0] == ' ')
		id = tm_str_slice(id, 1, id.len);
	while (id.len && id.at[id.len - 1] == ' ')
		id.len--;
	if (tm_str_is(id, "UTC"))
		return &utc;
	if (tm_str_is(id, "Z"))
		return &zulu;
	for (size_t i = 0; i < sizeof short_ids / sizeof *short_ids; i++)
		if (tm_str_is(id, short_ids[i][0]))
			id = tm_str_of(short_ids[i][1]);
	pthread_mutex_lock(&zones_lock);
	struct tm_sql_zone *zone = zones;
	while (zone && !tm_str_eq(zone->id, id))
		zone = zone->next;
	if (!zone && (zone = zone_make(id))) {
		zone->next = zones;
		zones = zone;
	}
	pthread_mutex_unlock(&zones_lock);
	return zone;
}

int32_t tm_sql_zone_offset(const struct tm_sql_zone *zone, int64_t utc_seconds)
{
	if (zone->fixed || zone->count == 0 || utc_seconds < zone->at[0])
		return zone->offset;
	if (utc_seconds >= TABLE_END)
		utc_seconds -= ((utc_seconds - TABLE_END) / CYCLE_SECONDS + 1) * CYCLE_SECONDS;
	size_t lo = 0, hi = zone->count;
	while (hi - lo > 1) {
		size_t mid = (lo + hi) / 2;
		if (zone->at[mid] <= utc_seconds)
			lo = mid;
		else
			hi = mid;
	}
	return zone->after[lo];
}

int64_t tm_sql_zone_to_utc(const struct tm_sql_zone *zone, int64_t local_us)
{
	if (zone->fixed)
		return tm_time_shift(local_us, -zone->offset * TM_US_SECOND);
	int64_t local = tm_floor_div(local_us, TM_US_SECOND);
	int32_t before = tm_sql_zone_offset(zone, local - 86400), after = tm_sql_zone_offset(zone, local + 86400);
	int32_t use = before;
	if (before != after && tm_sql_zone_offset(zone, local - before) != before && tm_sql_zone_offset(zone, local - after) == after)
		use = after;
	return tm_time_shift(local_us, -use * TM_US_SECOND);
}

void tm_sql_zone_name(const struct tm_sql_zone *zone, int64_t utc_seconds, bool full, struct tm_buf *out)
{
	if (zone->fixed) {
		if (full && zone == &utc)
			tm_buf_cstr_put(out, "Coordinated Universal Time");
		else if (full && tm_str_is(zone->id, "GMT"))
			tm_buf_cstr_put(out, "Greenwich Mean Time");
		else
			tm_buf_str_put(out, zone->id);
		return;
	}
	UChar id[128], name[128];
	char text[256];
	UErrorCode status = U_ZERO_ERROR;
	u_charsToUChars(zone->id.at, id, (int32_t)zone->id.len);
	id[zone->id.len] = 0;
	UCalendar *cal = ucal_open(id, -1, "en_US", UCAL_GREGORIAN, &status);
	if (U_FAILURE(status))
		return;
	ucal_setMillis(cal, (double)utc_seconds * 1000, &status);
	bool summer = ucal_inDaylightTime(cal, &status);
	UCalendarDisplayNameType type = summer ? (full ? UCAL_DST : UCAL_SHORT_DST) : (full ? UCAL_STANDARD : UCAL_SHORT_STANDARD);
	ucal_getTimeZoneDisplayName(cal, type, "en_US", name, 128, &status);
	ucal_close(cal);
	int32_t n = 0;
	if (U_SUCCESS(status))
		u_strToUTF8(text, sizeof text, &n, name, -1, &status);
	tm_buf_put(out, text, (size_t)n);
}
