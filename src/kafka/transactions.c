/* Producers' ids, and transactions. */
#include "kafka/kafka_int.h"

/* Without a transactional id every call gives a new id; with the producer's own id its epoch goes on. */
static void producer_id_answer(struct kafka_request *r)
{
	const struct tm_kafka_init_producer_id_request *in = r->in;
	struct tm_kafka_init_producer_id_response *out = r->out;
	struct tm_err err = {0};
	int64_t id;
	if (r->version >= 3 && in->producer_id >= 0 && in->producer_epoch >= 0 && in->producer_epoch < INT16_MAX - 1) {
		out->producer_id = in->producer_id;
		out->producer_epoch = (int16_t)(in->producer_epoch + 1);
		return;
	}
	tm_rc rc = tm_log_producer_id(r->conn->server->log, &id, &err);
	out->error_code = kafka_code(rc, &err);
	out->producer_id = rc == TM_OK ? id : -1;
	out->producer_epoch = rc == TM_OK ? 0 : -1;
}

void kafka_init_producer_id(struct kafka_request *r)
{
	producer_id_answer(r);
	kafka_reply(r);
}
