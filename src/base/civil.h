/* Days of the proleptic Gregorian calendar, counted from 1970-01-01, and division that rounds down, which they need before it. */
#ifndef TM_BASE_CIVIL_H
#define TM_BASE_CIVIL_H
#include <stdbool.h>
#include <stdint.h>

/* Nothing is checked: month 1 to 12, day from 1; a day past the month's end counts on into the next. */
int64_t tm_date_days(int64_t year, int month, int day);
void tm_civil_of(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);
bool tm_leap_year(int64_t year);
int tm_date_month_days(int64_t year, int month);
static inline int64_t tm_floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}
static inline int64_t tm_floor_mod(int64_t a, int64_t b) { return a % b < 0 ? a % b + b : a % b; } /* b > 0 */
static inline int tm_weekday(int64_t days) { return (int)tm_floor_mod(days + 3, 7); }              /* 0 = Monday */
#endif
