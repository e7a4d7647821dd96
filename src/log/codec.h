/* The compression codecs of record batches: gzip, snappy (raw and the framing of the Java library), lz4 frames, zstd.
 * Output is bounded by limit_bytes: a bomb stops there with TM_LIMIT. */
#ifndef TM_LOG_CODEC_H
#define TM_LOG_CODEC_H
#include "log/record.h"

/* The whole of `in` must be one stream of the codec, up to its end mark and checksums. The result is in the arena. */
tm_rc tm_codec_unpack(enum tm_codec codec, struct tm_str in, size_t limit_bytes, struct tm_arena *arena, struct tm_str *ret,
		      struct tm_err *err) TM_CHECKED;
/* level: the codec's own scale; TM_CODEC_LEVEL_DEFAULT = Kafka's default. Appended to out. */
#define TM_CODEC_LEVEL_DEFAULT INT32_MIN
tm_rc tm_codec_pack(enum tm_codec codec, int32_t level, struct tm_str in, struct tm_buf *out, struct tm_err *err) TM_CHECKED;
const char *tm_codec_name(enum tm_codec codec);
#endif
