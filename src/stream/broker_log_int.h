/* The embedded log as a broker: shared by its files. */
#ifndef TM_STREAM_BROKER_LOG_INT_H
#define TM_STREAM_BROKER_LOG_INT_H
#include "log/log.h"
#include "stream/broker.h"

struct tm_broker_log {
	struct tm_broker b;
	struct tm_log *log;
};
/* A reference, or TM_NOT_FOUND. */
tm_rc tm_broker_log_topic(struct tm_log *log, struct tm_str name, struct tm_topic **ret, struct tm_err *err) TM_CHECKED;
tm_rc tm_broker_log_reader(struct tm_broker *b, const struct tm_broker_reader_options *options, struct tm_broker_reader **ret,
			   struct tm_err *err) TM_CHECKED;
tm_rc tm_broker_log_writer(struct tm_broker *b, const struct tm_broker_writer_options *options, struct tm_broker_writer **ret,
			   struct tm_err *err) TM_CHECKED;
#endif
