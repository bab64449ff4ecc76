package store

import (
	"fmt"
	"hash/fnv"

	"github.com/octohost/octohost/internal/octo"
)

// Every key that octohost uses is spelled here and nowhere else.
//
//	apps/<app>            octo.App             API, compare-and-set
//	releases/<app>/<n>    octo.Release         deploy; the outcome by the leader
//	config/<app>/<n>      sealed values        API, once
//	datakeys/<node>       wrapped data key     that node, once
//	domains/<host>        octo.Domain          API and deploy, compare-and-set
//	pages/<app>           octo.Page            API: what visitors see while it is closed
//	want/<node>           []octo.Assignment    leader
//	have/<node>           []octo.Instance      that node, under its lease
//	nodes/<node>          octo.Node            that node, under its lease
//	routes/<shard>        []octo.Route         leader
//	leader                node name            whoever leads, under its lease
//	keys/<fingerprint>    octo.Key             API; its slashes are written _
//	events/<id>           octo.Event           anybody, bounded
const (
	AppsPrefix     = "apps/"
	ReleasesPrefix = "releases/"
	ConfigPrefix   = "config/"
	DataKeysPrefix = "datakeys/"
	DomainsPrefix  = "domains/"
	WantPrefix     = "want/"
	HavePrefix     = "have/"
	NodesPrefix    = "nodes/"
	RoutesPrefix   = "routes/"
	KeysPrefix     = "keys/"
	PagesPrefix    = "pages/"
	EventsPrefix   = "events/"
	LeaderKey      = "leader"
)

// RouteShards is how many documents the routing table is spread over, so that one
// change costs one shard however many apps there are.
const RouteShards = 256

// AppReleasesPrefix is where the releases of one app are.
func AppReleasesPrefix(app octo.Name) string { return ReleasesPrefix + string(app) + "/" }

// ReleaseName is the name of a release below ReleasesPrefix; numbers sort as text.
func ReleaseName(app octo.Name, n int) string { return fmt.Sprintf("%s/%08d", app, n) }

// RouteShard is the name below RoutesPrefix of the shard that an app's route is in.
func RouteShard(app octo.Name) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(app)) // never fails, by hash.Hash
	return fmt.Sprintf("%02x", h.Sum32()%RouteShards)
}

// AppConfigPrefix is where the configuration versions of one app are.
func AppConfigPrefix(app octo.Name) string { return ConfigPrefix + string(app) + "/" }

// ConfigName is the name of a configuration version below AppConfigPrefix.
func ConfigName(n int) string { return fmt.Sprintf("%08d", n) }
