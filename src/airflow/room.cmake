target_link_libraries(tm_airflow PUBLIC tm_dag)
