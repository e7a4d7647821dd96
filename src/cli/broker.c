/* The stage `broker`: where the topics are. Embedded: the log of the instance, with our Kafka door before it. A real Kafka
 * (`broker: kafka://…`): pipelines, page and commands use it, DAG files are led to it, and the door stays shut. */
#include "cli/instance.h"
#include "kafka/broker_kafka.h"

enum { CONNECT_WAIT_MS = 5000 };

bool tm_instance_broker_outside(const struct tm_instance *in) { return !tm_str_is(tm_str_of(in->config.broker), "embedded"); }

tm_rc tm_instance_broker_new(struct tm_instance *in, struct tm_err *err)
{
	if (!tm_instance_broker_outside(in)) {
		in->broker = in->log ? tm_broker_log_new(in->log) : NULL;
		return TM_OK;
	}
	tm_rc rc = tm_kafka_broker_new(tm_str_of(in->config.broker), &in->broker, err);
	if (rc)
		tm_err_prefix(err, "broker: ");
	else
		in->world.broker = in->broker;
	return rc;
}

tm_rc tm_instance_broker_start(struct tm_instance *in, struct tm_err *err)
{
	TM_TRY(tm_instance_broker_new(in, err));
	if (!tm_instance_broker_outside(in))
		return TM_OK;
	tm_rc rc = tm_kafka_broker_connect(in->broker, CONNECT_WAIT_MS, err);
	if (rc)
		tm_err_prefix(err, "broker: ");
	return rc;
}

void tm_instance_broker_stop(struct tm_instance *in)
{
	tm_broker_free(in->broker);
	in->broker = in->world.broker = NULL;
}

void tm_instance_broker_address(const struct tm_instance *in, const char **ret_host, int *ret_port)
{
	*ret_host = tm_address_here(&in->config.kafka);
	*ret_port = in->config.kafka.port;
	if (in->broker && tm_instance_broker_outside(in)) {
		struct tm_kafka_node node = tm_kafka_broker_bootstrap(in->broker);
		*ret_host = node.host.at;
		*ret_port = node.port;
	}
}

bool tm_instance_broker_is_at(struct tm_instance *in, const char *name, int port)
{
	if (!in->broker || !tm_instance_broker_outside(in))
		return false;
	struct tm_kafka_node *nodes;
	size_t n = tm_kafka_broker_nodes(in->broker, &in->arena, &nodes);
	for (size_t i = 0; i < n; i++)
		if (nodes[i].port == port && tm_str_is(nodes[i].host, name))
			return true;
	return false;
}
