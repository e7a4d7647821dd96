/* Values as text, with the time zone looked up once by the caller. */
#ifndef TM_SQL_VALUE_TEXT_H
#define TM_SQL_VALUE_TEXT_H
#include "sql/fn_int.h"
void fn_value_text(const struct tm_sql_zone *zone, const struct tm_column *c, size_t row, struct tm_buf *out);
#endif
