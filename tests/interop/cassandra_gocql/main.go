// gocql, unmodified: `cassandra_gocql PORT VERSION`.
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

func must(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(1)
	}
}

func check(what string, ok bool) {
	if !ok {
		fmt.Fprintln(os.Stderr, "wrong:", what)
		os.Exit(1)
	}
}

func main() {
	port, err := strconv.Atoi(os.Args[1])
	must("port", err)
	version, err := strconv.Atoi(os.Args[2])
	must("version", err)
	cluster := gocql.NewCluster("127.0.0.1")
	cluster.Port = port
	cluster.ProtoVersion = version
	cluster.Timeout = 10 * time.Second
	session, err := cluster.CreateSession()
	must("connect", err)
	defer session.Close()
	must("drop", session.Query("DROP KEYSPACE IF EXISTS goks").Exec())
	must("keyspace", session.Query("CREATE KEYSPACE goks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}").Exec())
	must("table", session.Query("CREATE TABLE goks.t (k int, c int, v text, s set<text>, m map<int, text>, at timestamp, u uuid, PRIMARY KEY (k, c))").Exec())
	id, at := gocql.TimeUUID(), time.UnixMilli(1500000000123).UTC()
	var wait sync.WaitGroup
	for w := 0; w < 8; w++ {
		wait.Add(1)
		go func(w int) {
			defer wait.Done()
			for i := w; i < 2000; i += 8 {
				must("insert", session.Query("INSERT INTO goks.t (k, c, v, s, m, at, u) VALUES (?, ?, ?, ?, ?, ?, ?)", 1, i, fmt.Sprint("v", i), []string{"b", "a"}, map[int]string{1: "x"}, at, id).Exec())
			}
		}(w)
	}
	wait.Wait()
	var v string
	var s []string
	var m map[int]string
	var gotAt time.Time
	var gotID gocql.UUID
	must("select", session.Query("SELECT v, s, m, at, u FROM goks.t WHERE k = ? AND c = ?", 1, 1234).Scan(&v, &s, &m, &gotAt, &gotID))
	check("row", v == "v1234" && len(s) == 2 && s[0] == "a" && m[1] == "x" && gotAt.Equal(at) && gotID == id)
	iter, n, last := session.Query("SELECT c FROM goks.t WHERE k = 1").PageSize(77).Iter(), 0, -1
	for c := 0; iter.Scan(&c); n++ {
		check("order", c == last+1)
		last = c
	}
	must("pages", iter.Close())
	check("2000 rows over pages", n == 2000)
	batch := session.NewBatch(gocql.LoggedBatch)
	batch.Query("UPDATE goks.t SET v = ? WHERE k = ? AND c = ?", "batched", 1, 1)
	batch.Query("DELETE FROM goks.t WHERE k = ? AND c = ?", 1, 2)
	must("batch", session.ExecuteBatch(batch))
	must("after the batch", session.Query("SELECT v FROM goks.t WHERE k = 1 AND c = 1").Scan(&v))
	check("batched", v == "batched")
	applied, err := session.Query("INSERT INTO goks.t (k, c) VALUES (1, 1) IF NOT EXISTS").MapScanCAS(map[string]interface{}{})
	must("condition", err)
	check("not applied", !applied)
	meta, err := session.KeyspaceMetadata("goks")
	must("metadata", err)
	check("columns", len(meta.Tables["t"].Columns) == 7 && meta.Tables["t"].PartitionKey[0].Name == "k")
	must("drop", session.Query("DROP KEYSPACE goks").Exec())
	fmt.Println("ok")
}
