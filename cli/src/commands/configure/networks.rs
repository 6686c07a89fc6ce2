//! Options that become networks of the device.

use std::{ffi::OsString, net::IpAddr, os::unix::ffi::OsStrExt as _, path::PathBuf};

use clap::{ArgAction, ValueEnum, ValueHint};

use crate::{
    commands::{Context, configure::ask::question, given},
    env,
    failure::{Failure, Kind},
    provision::{
        Secret,
        network::{Authority, Cellular, Connection, Enterprise, Ethernet, Proof, Security, Wifi},
    },
    ui::render,
};

/// Networks that a device is to enter.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Networks")]
pub(super) struct Networks {
    /// Name of a Wi-Fi network. Its password comes from --wifi-key-file or `OSCLI_WIFI_KEY`, or is asked for
    #[arg(long, alias = "config-wifi-ssid", value_name = "NAME")]
    wifi_ssid: Option<OsString>,
    /// The network does not tell its name
    #[arg(long, requires = "wifi_ssid", action = ArgAction::SetTrue)]
    wifi_hidden: bool,
    /// How the network is closed
    #[arg(
        long,
        requires = "wifi_ssid",
        value_enum,
        default_value_t,
        value_name = "KIND"
    )]
    wifi_security: Closed,
    /// File that holds the network's password, or the one for --wifi-identity; `-` is standard input
    #[arg(long, requires = "wifi_ssid", value_name = "FILE", value_hint = ValueHint::FilePath)]
    wifi_key_file: Option<PathBuf>,
    /// Name by which the network knows the device (peap, ttls, tls)
    #[arg(long, requires = "wifi_ssid", value_name = "NAME")]
    wifi_identity: Option<String>,
    /// Name that those who listen may know
    #[arg(long, requires = "wifi_identity", value_name = "NAME")]
    wifi_anonymous_identity: Option<String>,
    /// Certificates (PEM) by which the device knows the network
    #[arg(long, requires = "wifi_identity", value_name = "FILE", value_hint = ValueHint::FilePath)]
    wifi_ca: Option<PathBuf>,
    /// End of the name in the certificate of the network's server; without --wifi-ca, one of a usual authority
    #[arg(long, requires = "wifi_identity", value_name = "NAME")]
    wifi_domain: Option<String>,
    /// Take any network of this name for the right one, which hears the password then
    #[arg(long, requires = "wifi_identity", conflicts_with_all = ["wifi_ca", "wifi_domain"], action = ArgAction::SetTrue)]
    wifi_any_server: bool,
    /// Certificate (PEM) of the device (tls)
    #[arg(long, requires = "wifi_identity", value_name = "FILE", value_hint = ValueHint::FilePath)]
    wifi_certificate: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, requires = "wifi_certificate", value_name = "FILE", value_hint = ValueHint::FilePath)]
    wifi_private_key: Option<PathBuf>,
    /// Interface with a wire that the --ethernet options are for; all without it
    #[arg(long, value_name = "NAME")]
    ethernet_interface: Option<String>,
    /// Address of its own with the bits of its network: 192.168.1.5/24; may be repeated. Without it, the network gives one
    #[arg(long, value_name = "ADDRESS/BITS", value_parser = address)]
    ethernet_address: Vec<(IpAddr, u8)>,
    /// Way to other networks; one of each kind of address
    #[arg(long, value_name = "ADDRESS", requires = "ethernet_address")]
    ethernet_gateway: Vec<IpAddr>,
    /// Server of names in this network; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    ethernet_dns: Vec<IpAddr>,
    /// Number of a virtual network (802.1Q) on the interface
    #[arg(long, value_name = "NUMBER", requires = "ethernet_interface", value_parser = clap::value_parser!(u16).range(1..=4094))]
    ethernet_vlan: Option<u16>,
    /// Access point of a mobile network. Password and PIN come from files, `OSCLI_CELLULAR_PASSWORD` and `OSCLI_CELLULAR_PIN`
    #[arg(long, value_name = "NAME")]
    cellular_apn: Option<String>,
    /// Name for the mobile network
    #[arg(long, requires = "cellular_apn", value_name = "NAME")]
    cellular_user: Option<String>,
    /// File that holds the password for it
    #[arg(long, requires = "cellular_user", value_name = "FILE", value_hint = ValueHint::FilePath)]
    cellular_password_file: Option<PathBuf>,
    /// File that holds the PIN of the SIM card
    #[arg(long, requires = "cellular_apn", value_name = "FILE", value_hint = ValueHint::FilePath)]
    cellular_pin_file: Option<PathBuf>,
}

/// How a Wi-Fi network is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Closed {
    /// By a password, WPA2, also with WPA3 beside it; what is derived of the password is stored
    #[default]
    Wpa2,
    /// By a password, WPA3 alone, which wants the password itself
    Wpa3,
    /// Not at all
    #[value(alias = "none")]
    Open,
    /// By a name and a password (PEAP)
    Peap,
    /// By a name and a password (TTLS)
    Ttls,
    /// By a name and a certificate
    Tls,
}

pub(super) fn address(typed: &str) -> Result<(IpAddr, u8), String> {
    let parts = typed.split_once('/');
    parts
        .filter(|(_, bits)| bits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|(ip, bits)| Some((ip.parse().ok()?, bits.parse().ok()?)))
        .ok_or_else(|| {
            "an address with the bits of its network is expected, like 192.168.1.5/24".to_owned()
        })
}

impl Networks {
    /// The Wi-Fi network's password, where it has one: of a file, of a variable, or asked for.
    pub(super) async fn password(&self, context: &Context) -> Result<Option<Secret>, Failure> {
        self.agree()?;
        let Some(ssid) = self
            .wifi_ssid
            .as_ref()
            .filter(|_| self.wifi_security != Closed::Open)
        else {
            return Ok(None);
        };
        let found = given::secret(context, self.wifi_key_file.as_deref(), env::OSCLI_WIFI_KEY)?;
        // A key of a certificate may have none.
        if found.is_some() || self.wifi_security == Closed::Tls {
            return Ok(found);
        }
        if !context.console.may_prompt() {
            return Err(missing("the password of the Wi-Fi network").hint(
                "--wifi-key-file FILE or OSCLI_WIFI_KEY has it; --wifi-security open: there is none",
            ));
        }
        let ssid = ssid.to_string_lossy().into_owned();
        let typed = question(move || render::configure::wifi_password(&ssid)).await?;
        Ok(Some(Secret::new(typed)))
    }

    /// Whether what is said of the Wi-Fi network fits together. Its password by a variable may be meant for others.
    fn agree(&self) -> Result<(), Failure> {
        let closed = match self.wifi_security {
            Closed::Open => return self.is_open(),
            Closed::Wpa2 => "wpa2",
            Closed::Wpa3 => "wpa3",
            Closed::Peap => "peap",
            Closed::Ttls => "ttls",
            Closed::Tls => return Ok(()),
        };
        // The key comes with the certificate alone.
        if self.wifi_certificate.is_some() {
            let words = format!(
                "a Wi-Fi network that is closed by {closed} has no certificate of the device"
            );
            return Err(Failure::new(Kind::Usage, words)
                .hint("--wifi-security tls takes --wifi-certificate and --wifi-private-key"));
        }
        let is_by_password = matches!(self.wifi_security, Closed::Wpa2 | Closed::Wpa3);
        if is_by_password && self.wifi_identity.is_some() {
            let words = "a network that knows the device by a name is closed by peap, ttls or tls";
            return Err(Failure::new(Kind::Usage, words).hint("--wifi-security says by which"));
        }
        Ok(())
    }

    /// Whether nothing is said of an open network that only a closed one has.
    fn is_open(&self) -> Result<(), Failure> {
        // All but the last come with a name alone.
        let options = [
            ("--wifi-identity", self.wifi_identity.is_some()),
            (
                "--wifi-anonymous-identity",
                self.wifi_anonymous_identity.is_some(),
            ),
            ("--wifi-ca", self.wifi_ca.is_some()),
            ("--wifi-domain", self.wifi_domain.is_some()),
            ("--wifi-any-server", self.wifi_any_server),
            ("--wifi-certificate", self.wifi_certificate.is_some()),
            ("--wifi-private-key", self.wifi_private_key.is_some()),
            ("--wifi-key-file", self.wifi_key_file.is_some()),
        ];
        let said = options.into_iter().filter(|(_, is_said)| *is_said);
        let said: Vec<&str> = said.map(|(option, _)| option).collect();
        let Some((last, others)) = said.split_last() else {
            return Ok(());
        };
        let (lacks, closed) = match &self.wifi_identity {
            None => ("password", "wpa2 or wpa3"),
            Some(_) if self.wifi_certificate.is_some() => ("name for the device", "tls"),
            Some(_) => ("name for the device", "peap, ttls or tls"),
        };
        let said = match others {
            [] => (*last).to_owned(),
            others => format!("{} and {last}", others.join(", ")),
        };
        let words = format!("a Wi-Fi network that is open has no {lacks}");
        Err(Failure::new(Kind::Usage, words).hint(format!(
            "leave {said} out, or say by --wifi-security how it is closed: {closed}"
        )))
    }

    /// The files that they become.
    pub(super) fn connections(
        &self,
        context: &Context,
        password: Option<Secret>,
    ) -> Result<Vec<Connection>, Failure> {
        let mut all = Vec::new();
        if let Some(ssid) = &self.wifi_ssid {
            let wifi = Wifi {
                ssid: ssid.as_bytes().to_vec(),
                is_hidden: self.wifi_hidden,
                security: self.security(context, password)?,
            };
            all.push(wifi.connection()?);
        }
        let ethernet = Ethernet {
            interface: self.ethernet_interface.clone(),
            vlan: self.ethernet_vlan,
            addresses: self.ethernet_address.clone(),
            gateways: self.ethernet_gateway.clone(),
            dns: self.ethernet_dns.clone(),
        };
        let is_wanted = ethernet.interface.is_some()
            || !ethernet.addresses.is_empty()
            || !ethernet.dns.is_empty();
        if is_wanted {
            all.push(ethernet.connection()?);
        }
        if let Some(apn) = &self.cellular_apn {
            let secret = |file: &Option<PathBuf>, variable| {
                given::secret(context, file.as_deref(), variable)
            };
            let cellular = Cellular {
                apn: apn.clone(),
                user: self.cellular_user.clone(),
                password: secret(&self.cellular_password_file, env::OSCLI_CELLULAR_PASSWORD)?,
                pin: secret(&self.cellular_pin_file, env::OSCLI_CELLULAR_PIN)?,
            };
            all.push(cellular.connection()?);
        }
        Ok(all)
    }

    fn security(&self, context: &Context, found: Option<Secret>) -> Result<Security, Failure> {
        let password = |found: Option<Secret>| {
            found.ok_or_else(|| missing("the password of the Wi-Fi network"))
        };
        let file =
            |path: &Option<PathBuf>, option: &str| path.clone().ok_or_else(|| missing(option));
        let proof = match self.wifi_security {
            Closed::Open => return Ok(Security::Open),
            Closed::Wpa2 => return Ok(Security::Wpa2(password(found)?)),
            Closed::Wpa3 => return Ok(Security::Wpa3(password(found)?)),
            Closed::Peap => Proof::Peap(password(found)?),
            Closed::Ttls => Proof::Ttls(password(found)?),
            Closed::Tls => Proof::Tls {
                certificate: given::bytes(
                    context,
                    &file(&self.wifi_certificate, "--wifi-certificate")?,
                )?,
                key: Secret::new(given::text(
                    context,
                    &file(&self.wifi_private_key, "--wifi-private-key")?,
                )?),
                password: found,
            },
        };
        let identity = self.wifi_identity.clone();
        let certificates = self
            .wifi_ca
            .as_deref()
            .map(|path| given::certificates(context, "--wifi-ca ", path))
            .transpose()?;
        let authority = match (certificates, self.wifi_domain.clone()) {
            (Some(certificates), domain) => Authority::These(certificates, domain),
            (None, Some(domain)) => Authority::Usual(domain),
            (None, None) if self.wifi_any_server => Authority::Anybody,
            (None, None) => return Err(unknown_network()),
        };
        Ok(Security::Enterprise(Enterprise {
            identity: identity.ok_or_else(|| missing("--wifi-identity"))?,
            anonymous: self.wifi_anonymous_identity.clone(),
            proof,
            authority,
        }))
    }
}

/// Whoever is believed hears the password.
pub(super) fn unknown_network() -> Failure {
    let words = "nothing says by what the device knows the network";
    Failure::new(Kind::Usage, words).hint(
        "--wifi-ca FILE has its certificates, --wifi-domain NAME the name in a usual one; --wifi-any-server: anybody is believed",
    )
}

fn missing(what: &str) -> Failure {
    Failure::new(Kind::Usage, format!("{what} is missing"))
}
