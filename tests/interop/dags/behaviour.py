"""DAGs whose every end tests/interop/test_dags.py knows."""
from datetime import datetime, timedelta
import time
from airflow import DAG
from airflow.decorators import dag, task, task_group
from airflow.exceptions import AirflowSkipException, AirflowFailException
from airflow.operators.bash import BashOperator
from airflow.operators.python import PythonOperator, BranchPythonOperator, ShortCircuitOperator
from airflow.operators.empty import EmptyOperator
from airflow.utils.trigger_rule import TriggerRule
from airflow.sensors.python import PythonSensor
from airflow.operators.trigger_dagrun import TriggerDagRunOperator
COMMON=dict(start_date=datetime(2024,1,1), schedule='@once', catchup=False)
with DAG('branch', **COMMON) as d:
    b = BranchPythonOperator(task_id='b', python_callable=lambda: 'x')
    x = EmptyOperator(task_id='x'); y = PythonOperator(task_id='y', python_callable=lambda: 1)
    j = EmptyOperator(task_id='join', trigger_rule='none_failed_min_one_success')
    b >> [x, y] >> j
with DAG('short', **COMMON) as d:
    s = ShortCircuitOperator(task_id='s', python_callable=lambda: False)
    s >> EmptyOperator(task_id='a') >> EmptyOperator(task_id='b', trigger_rule=TriggerRule.ALL_DONE)
def flaky(ti):
    print("try", ti.try_number)
    if ti.try_number < 3: raise ValueError("no")
    return ti.try_number
with DAG('retry', **COMMON, default_args={'retries': 3, 'retry_delay': timedelta(seconds=0.2), 'retry_exponential_backoff': False}) as d:
    PythonOperator(task_id='f', python_callable=flaky) >> BashOperator(task_id='sh', bash_command='echo {{ ti.xcom_pull(task_ids="f") }} $AIRFLOW_CTX_DAG_ID')
with DAG('fail', **COMMON) as d:
    def bad(): raise RuntimeError("boom")
    def skip(): raise AirflowSkipException("nah")
    a = PythonOperator(task_id='bad', python_callable=bad)
    s = PythonOperator(task_id='skip', python_callable=skip)
    a >> EmptyOperator(task_id='after_bad'); s >> EmptyOperator(task_id='after_skip')
    BashOperator(task_id='sh99', bash_command='exit 99'); BashOperator(task_id='sh1', bash_command='echo out; exit 3')
    a >> BashOperator(task_id='onfail', bash_command='echo failed', trigger_rule='one_failed')
@dag(**COMMON)
def flow():
    @task
    def nums(): return [1,2,3]
    @task
    def double(x, y=1): return x*2*y
    @task(multiple_outputs=True)
    def stat(v): return {"total": sum(v), "n": len(v)}
    @task
    def show(total, n): print("TOTAL", total, n); return total
    s = stat(double.partial(y=10).expand(x=nums()))
    show(s["total"], s["n"])
    @task_group
    def grp(v):
        @task
        def one(v): return v+1
        @task
        def two(v): return v*100
        return two(one(v))
    g = grp.expand(v=[1,2,3])
    @task
    def collect(vs): print(list(vs)); return sorted(vs)
    collect(g)
flow()
def poke(ti):
    import os
    p = os.environ['POKE_COUNT']
    c = int(open(p).read()) if os.path.exists(p) else 0
    open(p, 'w').write(str(c + 1))
    return c >= 3
with DAG('sense', **COMMON) as d:
    PythonSensor(task_id='resch', python_callable=poke, mode='reschedule', poke_interval=0.1, timeout=10) >> PythonOperator(task_id='t', python_callable=lambda: 1)
    PythonSensor(task_id='never', python_callable=lambda: False, poke_interval=0.1, timeout=0.3, soft_fail=True)
with DAG('timeout', **COMMON) as d:
    PythonOperator(task_id='slow', python_callable=lambda: time.sleep(20), execution_timeout=timedelta(seconds=0.5))
    BashOperator(task_id='slowsh', bash_command='sleep 20', execution_timeout=timedelta(seconds=0.5))
with DAG('runtimeout', **COMMON, dagrun_timeout=timedelta(seconds=1)) as d:
    PythonOperator(task_id='slow', python_callable=lambda: time.sleep(20))
with DAG('target', start_date=datetime(2024,1,1), schedule=None) as d:
    PythonOperator(task_id='t', python_callable=lambda dag_run: dag_run.conf['a'])
with DAG('ctl', **COMMON) as d:
    TriggerDagRunOperator(task_id='go', trigger_dag_id='target', conf={'a': '{{ ds }}'}, wait_for_completion=True, poke_interval=0.1)
@dag(**COMMON)
def st():
    from airflow.decorators import setup, teardown
    @setup
    def s(): return 1
    @teardown
    def t(): pass
    @task
    def w(): raise ValueError("w")
    s() >> w() >> t()
st()
