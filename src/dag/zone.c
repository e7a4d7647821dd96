/* Time zones through ICU, behind the two questions a schedule asks: what does the clock on the wall show at an instant,
 * and which instant does a wall time name. Doubtful wall times are settled as Airflow settles them. */
#include <unicode/ucal.h>
#include <unicode/ustring.h>
#include "dag/dag_int.h"

struct tm_zone {
	UCalendar *cal; /* NULL: a fixed offset */
	int64_t fixed_us;
	/* The offset is constant between two transitions; the last span found answers most questions. */
	int64_t span_from, span_to, span_offset;
};

static bool fixed_offset(const char *name, int64_t *ret_us)
{
	if (!strcmp(name, "UTC") || !strcmp(name, "Etc/UTC") || !strcmp(name, "GMT") || !strcmp(name, "Z") || !*name) {
		*ret_us = 0;
		return true;
	}
	int h, m = 0, n = 0;
	if ((*name == '+' || *name == '-') && sscanf(name + 1, "%2d:%2d%n", &h, &m, &n) == 2 && !name[1 + n]) {
		*ret_us = (*name == '-' ? -1 : 1) * (h * 3600 + m * 60) * TM_DAG_US;
		return true;
	}
	return false;
}

tm_rc tm_zone_open(const char *name, struct tm_zone **ret, struct tm_err *err)
{
	struct tm_zone *z = tm_zalloc(sizeof *z);
	if (fixed_offset(name, &z->fixed_us)) {
		*ret = z;
		return TM_OK;
	}
	UErrorCode status = U_ZERO_ERROR;
	UChar id[128], canonical[128];
	UBool system_id = false;
	int32_t len = 0;
	u_strFromUTF8(id, 128, &len, name, -1, &status);
	ucal_getCanonicalTimeZoneID(id, len, canonical, 128, &system_id, &status);
	if (U_FAILURE(status) || !system_id) {
		free(z);
		return tm_fail(err, TM_INVALID, "no time zone '%s'", name);
	}
	z->cal = ucal_open(id, len, "en", UCAL_GREGORIAN, &status);
	if (U_FAILURE(status)) {
		free(z);
		return tm_fail(err, TM_INTERNAL, "time zone '%s': %s", name, u_errorName(status));
	}
	z->span_from = 1;
	z->span_to = 0;
	*ret = z;
	return TM_OK;
}

void tm_zone_close(struct tm_zone *z)
{
	if (!z)
		return;
	if (z->cal)
		ucal_close(z->cal);
	free(z);
}

static int64_t floor_ms(int64_t us) { return us >= 0 ? us / 1000 : -((-us + 999) / 1000); }

/* Offset from UTC at an instant, microseconds. */
static int64_t offset_at(struct tm_zone *z, int64_t us)
{
	if (!z->cal)
		return z->fixed_us;
	int64_t ms = floor_ms(us);
	if (ms >= z->span_from && ms < z->span_to)
		return z->span_offset;
	UErrorCode status = U_ZERO_ERROR;
	ucal_setMillis(z->cal, (double)ms, &status);
	int64_t offset = ((int64_t)ucal_get(z->cal, UCAL_ZONE_OFFSET, &status) + ucal_get(z->cal, UCAL_DST_OFFSET, &status)) * 1000;
	double from = 0, to = 0;
	z->span_from = ms;
	z->span_to = ms + 1;
	z->span_offset = offset;
	if (ucal_getTimeZoneTransitionDate(z->cal, UCAL_TZ_TRANSITION_PREVIOUS_INCLUSIVE, &from, &status) && U_SUCCESS(status))
		z->span_from = (int64_t)from;
	if (ucal_getTimeZoneTransitionDate(z->cal, UCAL_TZ_TRANSITION_NEXT, &to, &status) && U_SUCCESS(status))
		z->span_to = (int64_t)to;
	return offset;
}

int64_t tm_zone_local(struct tm_zone *z, int64_t us) { return us + offset_at(z, us); }

int64_t tm_zone_utc(struct tm_zone *z, int64_t local_us)
{
	/* The offsets a day before and after enclose any one transition near this wall time. */
	int64_t before = offset_at(z, local_us - INT64_C(86400) * TM_DAG_US - 0),
		after = offset_at(z, local_us + INT64_C(86400) * TM_DAG_US);
	int64_t a = local_us - before, b = local_us - after;
	bool a_holds = offset_at(z, a) == before, b_holds = offset_at(z, b) == after;
	if (a_holds && b_holds)
		return a > b ? a : b; /* twice (or no transition): the later */
	if (b_holds)
		return b;
	return a; /* a gap: the clock before it goes on, which is what moving on by the gap gives */
}
