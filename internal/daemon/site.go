package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// site knows under which addresses this octohost is reached.
type site struct {
	domain   string
	httpPort string // "" when it is 80
	sshHost  string
	sshPort  string
}

// newSite works out the addresses from the settings and the ports that were bound.
func newSite(s Settings, httpAddr, sshAddr string) (site, error) {
	httpHost, httpPort, err := net.SplitHostPort(httpAddr)
	if err != nil {
		return site{}, octo.Errorf(octo.ErrInvalid, "http is %q", httpAddr).WithHint("give host:port, for example :80")
	}
	sshHost, sshPort, err := net.SplitHostPort(sshAddr)
	if err != nil {
		return site{}, octo.Errorf(octo.ErrInvalid, "ssh is %q", sshAddr).WithHint("give host:port, for example :2222")
	}
	w := site{domain: s.Domain, httpPort: httpPort, sshHost: sshHost, sshPort: sshPort}
	if w.domain == "" {
		w.domain = defaultDomain(httpHost)
	}
	if w.httpPort == "80" {
		w.httpPort = ""
	}
	if ip, err := netip.ParseAddr(sshHost); sshHost == "" || err == nil && ip.IsUnspecified() {
		w.sshHost = w.domain
	}
	return w, nil
}

// defaultDomain finds a domain whose every sub-domain leads here without anybody
// configuring DNS: localhost (RFC 6761 §6.3) when only this machine can reach us,
// else the address by sslip.io.
func defaultDomain(host string) string {
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.IsLoopback() {
		return "localhost"
	}
	if err != nil || ip.IsUnspecified() {
		ip = outboundIP()
	}
	if !ip.IsValid() {
		return "localhost"
	}
	return strings.NewReplacer(".", "-", ":", "-").Replace(ip.String()) + ".sslip.io"
}

// outboundIP is the address from which this machine speaks to the world. Nothing is
// sent: connecting a datagram socket only asks the routing table.
func outboundIP() netip.Addr {
	conn, err := net.Dial("udp", "192.0.2.1:9") // TEST-NET-1, RFC 5737
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close() //nolint:errcheck // nothing was sent
	addr, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}
	}
	return addr.AddrPort().Addr().Unmap()
}

// url is where an app is reached.
func (w site) url(app octo.Name) string {
	host := string(app) + "." + w.domain
	if w.httpPort != "" {
		host = net.JoinHostPort(host, w.httpPort)
	}
	return "http://" + host
}

// gitURL is where an app is pushed to.
func (w site) gitURL(app octo.Name) string {
	return fmt.Sprintf("ssh://octo@%s/%s", net.JoinHostPort(w.sshHost, w.sshPort), app)
}

// nodeName is what this machine is called: what the settings say, else what it was
// called when octo was first started here. That is kept in a file, for a host name may
// change, and what runs where is written down under the node's.
func nodeName(s Settings, path string) (string, error) {
	if s.Node != "" {
		return s.Node, nil
	}
	if kept, err := os.ReadFile(path); err == nil {
		return strings.TrimSpace(string(kept)), nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	name := hostName()
	return name, writeFile(path, []byte(name+"\n"), 0o600)
}

// hostName is this machine's name as far as its first dot.
func hostName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "node"
	}
	name, _, _ := strings.Cut(strings.ToLower(host), ".")
	return name
}

// prefixes reads addresses and CIDR prefixes.
func prefixes(texts []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if ip, ipErr := netip.ParseAddr(text); ipErr == nil {
			p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err != nil {
			return nil, octo.Errorf(octo.ErrInvalid, "%q in octo.toml is no address and no prefix", text).WithHint("write for example 10.0.0.0/8")
		}
		list = append(list, p)
	}
	return list, nil
}
