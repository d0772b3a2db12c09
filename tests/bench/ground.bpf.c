// The answering network of the measuring ground, as an XDP program on the far end of a cable.
//
// It answers with the frame that asked (XDP_TX), so that it costs less than the scanners that
// are measured against it. Who is alive and what is open is a keyed hash, computed here and in
// truth.rs from the same formula: what a scanner must find is calculated, never observed.
// Everything that distinguishes one network from another is a constant given by the compiler
// (-D): see Network::definitions in truth.rs. The device handles one packet at a time (one
// queue, one NAPI instance), so the counters are plain variables.

#include <linux/bpf.h>
#include <linux/icmp.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define WAYS (1 << 7)      // ports that the bitmap of seen questions tells apart
#define NETWORK 0xc6120000 // 198.18.0.0/15, the network for benchmarks (RFC 2544)
#define ADDRESSES (1 << 17)
#define SECOND 1000000000ull
#define STAMPS 256    // packets to one asset in one second that can be told apart
#define WATCHED 4096  // assets that can be watched one by one
#define SECONDS 64    // of the history of a watched asset
#define MARK 256      // the time is taken at every so manieth SYN

// Read by counters.rs by these names.
struct counters {
	__u64 packets, bytes, arp, echo, timestamp, syn, ack, rst, udp, other;
	__u64 answers;   // handed to the cable
	__u64 lost;      // by the injected loss
	__u64 limited;   // not answered because of the asset's limit
	__u64 repeats;   // SYNs to an address and port that had one
	__u64 malformed; // wrong checksum or length
	__u64 deaths;
	__u64 first_at, marked, marked_at; // nanoseconds; `marked` SYNs had come at `marked_at`
	__u64 peak;       // most packets to one asset in one second
	__u64 peak_asked; // the same without RSTs, which the scanner's kernel sends
} counters;

struct asset {
	__u64 stamps[STAMPS], asked[STAMPS];
	__u64 first_at, refilled_at;
	__u32 stamp, question, dead, tokens; // tokens: in thousandths of an answer
	__u32 seconds[SECONDS];              // questions in each second since the first
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, DISTINCT ? ADDRESSES * WAYS / 64 : 1);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WATCH ? WATCHED : 1);
	__type(key, __u32);
	__type(value, struct asset);
} assets SEC(".maps");

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014), on the key, the question and the place.
static __always_inline __u64 draw(__u64 what, __u32 address, __u16 port)
{
	__u64 x = KEY ^ (what << 48 | (__u64)port << 32 | address);
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (x ^ x >> 31) >> 32;
}

static __always_inline int alive(__u32 address)
{
	return address - NETWORK < ADDRESSES && address != SCANNER && draw(1, address, 0) < ALIVE;
}

static __always_inline int fragile(__u32 address)
{
	return FRAGILE && draw(3, address, 0) < FRAGILE;
}

static __always_inline int open(__u32 address, __u16 port)
{
	return draw(2, address, port) < OPEN || (port == 502 && fragile(address));
}

// How many of the last STAMPS packets are of the second that ends now, this one included.
static __always_inline __u64 count(__u64 *stamps, __u32 *next, __u64 now)
{
	__u64 number = 1;
	for (__u32 back = 1; back < STAMPS; back++) {
		__u64 at = stamps[(*next - back) & (STAMPS - 1)];
		if (!at || now - at >= SECOND)
			break;
		number++;
	}
	stamps[*next & (STAMPS - 1)] = now;
	*next += 1;
	return number;
}

// Books a packet to an asset. Whether it is there to answer, and allowed to.
static __always_inline int admit(__u32 address, int is_question)
{
	if (!WATCH)
		return 1;
	__u32 number = address & (WATCHED - 1);
	struct asset *asset = bpf_map_lookup_elem(&assets, &number);
	if (!asset)
		return 0;
	__u64 now = bpf_ktime_get_ns();
	__u64 all = count(asset->stamps, &asset->stamp, now);
	if (all > counters.peak)
		counters.peak = all;
	if (FRAGILE && !asset->dead && all > FRAGILE_MOST && fragile(address)) {
		asset->dead = 1;
		counters.deaths++;
	}
	if (!is_question)
		return 0;
	__u64 asked = count(asset->asked, &asset->question, now);
	if (asked > counters.peak_asked)
		counters.peak_asked = asked;
	if (!asset->first_at)
		asset->first_at = now;
	__u64 second = (now - asset->first_at) / SECOND;
	barrier_var(second); // that the verifier sees the comparison of what is then the index
	if (second < SECONDS)
		asset->seconds[second]++;
	if (asset->dead)
		return 0;
	if (LIMIT) {
		__u64 more = (now - asset->refilled_at) / 1000 * LIMIT / 1000;
		if (more) {
			asset->refilled_at = now;
			more += asset->tokens;
			asset->tokens = more > LIMIT * 100 ? LIMIT * 100 : more; // a burst of a tenth
		}
		if (asset->tokens < 1000) {
			counters.limited++;
			return 0;
		}
		asset->tokens -= 1000;
	}
	return 1;
}

static __always_inline int answer(void)
{
	counters.answers++;
	return XDP_TX;
}

static __always_inline int lose(void)
{
	if (LOSS && bpf_get_prandom_u32() < LOSS) {
		counters.lost++;
		return 1;
	}
	return 0;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void turn(struct ethhdr *eth)
{
	__u8 own[ETH_ALEN];
	__builtin_memcpy(own, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, own, ETH_ALEN);
}

struct arp {
	struct arphdr head;
	__u8 sender[ETH_ALEN];
	__be32 sender_address;
	__u8 target[ETH_ALEN];
	__be32 target_address;
} __attribute__((packed));

static __always_inline int on_arp(struct ethhdr *eth, void *end)
{
	struct arp *arp = (void *)(eth + 1);
	counters.arp++;
	if ((void *)(arp + 1) > end || arp->head.ar_op != bpf_htons(ARPOP_REQUEST))
		return XDP_DROP;
	__be32 asked = arp->target_address;
	__u32 address = bpf_ntohl(asked);
	if (address != GATEWAY) {
		if (!admit(address, 1) || !ON_LINK || !alive(address) || lose())
			return XDP_DROP;
	}
	// Each asset has a MAC of its own; fragile ones that of a maker of industrial devices.
	__u8 *mac = eth->h_source;
	__builtin_memcpy(eth->h_dest, arp->sender, ETH_ALEN);
	__builtin_memcpy(mac, fragile(address) ? "\x00\x1b\x1b" : "\x02\x00\x5e", 3);
	mac[3] = address >> 16;
	mac[4] = address >> 8;
	mac[5] = address;
	arp->head.ar_op = bpf_htons(ARPOP_REPLY);
	__builtin_memcpy(arp->target, arp->sender, ETH_ALEN);
	arp->target_address = arp->sender_address;
	__builtin_memcpy(arp->sender, mac, ETH_ALEN);
	arp->sender_address = asked;
	return answer();
}

static __always_inline int on_icmp(struct ethhdr *eth, struct iphdr *ip, void *end)
{
	struct icmphdr *icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) > end)
		return XDP_DROP;
	__u8 question = icmp->type;
	if (question == ICMP_ECHO)
		counters.echo++;
	else if (question == ICMP_TIMESTAMP)
		counters.timestamp++;
	else
		counters.other++;
	__u32 address = bpf_ntohl(ip->daddr);
	int is_question = question == ICMP_ECHO || question == ICMP_TIMESTAMP;
	if (!admit(address, is_question) || !is_question || !alive(address) || lose())
		return XDP_DROP;
	// Answers are 0 to 8 and 14 to 13: the type is the high byte of the first word.
	icmp->type = question == ICMP_ECHO ? ICMP_ECHOREPLY : ICMP_TIMESTAMPREPLY;
	int less = question == ICMP_ECHO ? 8 << 8 : -(1 << 8);
	__u32 sum = bpf_ntohs(icmp->checksum) + 0xffff + less;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	icmp->checksum = bpf_htons(sum);
	turn(eth);
	__be32 asked = ip->daddr;
	ip->daddr = ip->saddr;
	ip->saddr = asked;
	return answer();
}

// Whether the checksums of a segment without data are right.
static __always_inline int well_formed(struct iphdr *ip, struct tcphdr *tcp, void *end)
{
	__u64 sum = 0;
	__u16 *word = (void *)ip;
	for (int i = 0; i < 10; i++)
		sum += word[i];
	if (fold(sum) || bpf_ntohs(ip->tot_len) != 20 + tcp->doff * 4 || tcp->doff < 5)
		return 0;
	sum = (__u64)ip->saddr + ip->daddr + bpf_htons(IPPROTO_TCP) + bpf_htons(tcp->doff * 4);
	__u32 *part = (void *)tcp;
#pragma unroll
	for (int i = 0; i < 15; i++) {
		if (i >= tcp->doff)
			break;
		barrier_var(end); // that no arithmetic is made of it, which the verifier refuses
		if ((void *)(part + i + 1) > end)
			return 0;
		sum += part[i];
	}
	return fold(sum) == 0;
}

static __always_inline void on_time(void)
{
	if (counters.syn > COUNTED || (counters.syn % MARK && counters.syn != 1))
		return;
	__u64 now = bpf_ktime_get_ns();
	if (counters.syn == 1)
		counters.first_at = now;
	counters.marked = counters.syn;
	counters.marked_at = now;
}

static __always_inline int on_tcp(struct ethhdr *eth, struct iphdr *ip, void *end)
{
	struct tcphdr *tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) > end) {
		counters.malformed++;
		return XDP_DROP;
	}
	__u32 address = bpf_ntohl(ip->daddr);
	__u16 port = bpf_ntohs(tcp->dest);
	int is_syn = tcp->syn && !tcp->ack && !tcp->rst;
	if (is_syn) {
		counters.syn++;
		on_time();
	} else if (tcp->rst) {
		counters.rst++;
	} else {
		counters.ack++;
	}
	if (is_syn && DISTINCT) {
		__u32 place = (address - NETWORK) * WAYS + (port & (WAYS - 1));
		__u32 key = place / 64 % (ADDRESSES * WAYS / 64);
		__u64 *bits = bpf_map_lookup_elem(&seen, &key), bit = 1ull << place % 64;
		if (bits && *bits & bit)
			counters.repeats++;
		else if (bits)
			*bits |= bit;
	}
	if (is_syn && VERIFY && !well_formed(ip, tcp, end)) {
		counters.malformed++;
		return XDP_DROP;
	}
	if (!admit(address, !tcp->rst) || SINK || tcp->rst || !alive(address) || lose())
		return XDP_DROP;
	// The last step of a handshake with us is right as it is, and any other ACK is not.
	__u32 number = draw(4, address, port);
	if (!is_syn && !tcp->fin && open(address, port) && bpf_ntohl(tcp->ack_seq) == number + 1)
		return XDP_DROP;
	int is_open = is_syn && open(address, port);
	if (is_syn && !is_open && CLOSED_SILENT)
		return XDP_DROP;

	// A SYN's options stay: the largest segment that it offered is offered back. Addresses and
	// ports change places, which no checksum sees; what is new is subtracted and added.
	__u32 *sequence = (void *)&tcp->seq, *acknowledged = (void *)&tcp->ack_seq;
	__u16 *flags = (void *)tcp + 12;
	__u64 before = (__u64)*sequence + *acknowledged + *flags;
	if (is_syn) {
		*acknowledged = bpf_htonl(bpf_ntohl(tcp->seq) + 1);
		*sequence = is_open ? bpf_htonl(number) : 0;
	} else {
		*sequence = *acknowledged;
		*acknowledged = 0;
	}
	tcp->syn = is_open;
	tcp->ack = is_syn;
	tcp->rst = !is_open;
	tcp->fin = tcp->psh = tcp->urg = 0;
	__u64 after = (__u64)*sequence + *acknowledged + *flags;
	tcp->check = fold((__u16)~tcp->check + (~before & 0xffffffffffff) + after);
	__be16 asked_port = tcp->dest;
	tcp->dest = tcp->source;
	tcp->source = asked_port;
	__be32 asked = ip->daddr;
	ip->daddr = ip->saddr;
	ip->saddr = asked;
	turn(eth);
	return answer();
}

SEC("xdp.far")
int far(struct xdp_md *context)
{
	void *end = (void *)(long)context->data_end;
	struct ethhdr *eth = (void *)(long)context->data;
	struct iphdr *ip = (void *)(eth + 1);
	counters.packets++;
	counters.bytes += context->data_end - context->data;
	if ((void *)(eth + 1) > end)
		return XDP_DROP;
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return on_arp(eth, end);
	if (eth->h_proto != bpf_htons(ETH_P_IP) || (void *)(ip + 1) > end || ip->ihl != 5) {
		counters.other++;
		return XDP_DROP;
	}
	if (ip->protocol == IPPROTO_TCP)
		return on_tcp(eth, ip, end);
	if (ip->protocol == IPPROTO_ICMP)
		return on_icmp(eth, ip, end);
	if (ip->protocol == IPPROTO_UDP)
		counters.udp++;
	else
		counters.other++;
	admit(bpf_ntohl(ip->daddr), 1);
	return XDP_DROP;
}

// On the scanner's end: with any program there, the device takes answers from XDP_TX.
SEC("xdp.near")
int near(struct xdp_md *context)
{
	return XDP_PASS;
}

char terms[] SEC("license") = "Dual MIT/GPL";
