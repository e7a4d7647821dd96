/* JSON text straight into columns: directed by a schema, only the fields asked for are decoded. The semantics are those of
 * Spark's from_json in PERMISSIVE mode: a broken record is null in every field, a field of the wrong type is null with the rest
 * kept, a STRING field takes any value's raw text, a missing field is null, names match exactly, the last of two equal names wins. */
#ifndef TM_COLUMN_JSON_H
#define TM_COLUMN_JSON_H
#include "column/column.h"

/* Turns text into a DATE, TIMESTAMP, … where the default form (ISO 8601) is not wanted: set by from_json's options dateFormat and
 * timestampFormat. False = not such a value. */
struct tm_json_options {
	bool (*parse_date)(const void *ctx, struct tm_str text, int32_t *ret);
	bool (*parse_timestamp)(const void *ctx, struct tm_str text, int64_t *ret); /* TIMESTAMP, in the session time zone */
	bool (*parse_timestamp_ntz)(const void *ctx, struct tm_str text, int64_t *ret);
	/* What a STRING field gets of a value that is no string; NULL = the text as it stands. */
	bool (*normalise)(const void *ctx, struct tm_arena *arena, struct tm_str raw, struct tm_str *ret);
	const void *ctx;
	bool allow_unquoted_names, allow_single_quotes_off, allow_leading_zeros, allow_backslash_any, allow_control_chars;
	bool allow_nan_off; /* allowNonNumericNumbers=false */
	bool primitives_as_string, prefer_decimal;
	bool fail_fast;              /* mode FAILFAST: the first bad record is an error of tm_json_decode */
	struct tm_str corrupt_field; /* columnNameOfCorruptRecord, where the schema has it as STRING */
};
struct tm_json_decoder; /* immutable once made; the plan's lifetime */
/* schema: STRUCT (the usual), ARRAY or MAP, as from_json takes. */
struct tm_json_decoder *tm_json_decoder_new(struct tm_arena *arena, const struct tm_type *schema, const struct tm_json_options *options);
/* One JSON text per row of texts (STRING or BINARY) into ret (type schema). corrupt (rows bytes, may be NULL) gets 1 where the
 * record was not usable as a whole. A null or blank text gives null. Strings without escapes point into the texts. */
tm_rc tm_json_decode(const struct tm_json_decoder *decoder, struct tm_arena *arena, const struct tm_column *texts, struct tm_column *ret,
		     uint8_t *corrupt, struct tm_err *err) TM_CHECKED;
/* Is the whole text one JSON value? */
bool tm_json_valid(struct tm_str text);
#endif
