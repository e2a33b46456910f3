//! Folder names of other programs, in several languages, and the special folders they mean.

use freehold_core::mailbox::SpecialUse;

/// Names in lower case.
const NAMES: [(SpecialUse, &[&str]); 6] = [
    (
        SpecialUse::Inbox,
        &[
            "inbox",
            "posteingang",
            "boîte de réception",
            "bandeja de entrada",
            "recibidos",
            "posta in arrivo",
            "caixa de entrada",
            "postvak in",
            "indbakke",
            "inkorgen",
            "innboks",
            "saapuneet",
            "odebrane",
            "входящие",
            "受信トレイ",
            "收件箱",
        ],
    ),
    (
        SpecialUse::Drafts,
        &[
            "drafts",
            "draft",
            "entwürfe",
            "brouillons",
            "borradores",
            "bozze",
            "rascunhos",
            "concepten",
            "kladder",
            "utkast",
            "luonnokset",
            "szkice",
            "wersje robocze",
            "черновики",
            "下書き",
            "草稿",
            "草稿箱",
        ],
    ),
    (
        SpecialUse::Sent,
        &[
            "sent",
            "sent items",
            "sent messages",
            "sent mail",
            "sent-mail",
            "gesendet",
            "gesendete elemente",
            "gesendete objekte",
            "envoyés",
            "messages envoyés",
            "éléments envoyés",
            "enviados",
            "elementos enviados",
            "inviati",
            "posta inviata",
            "e-mails enviados",
            "itens enviados",
            "mensagens enviadas",
            "verzonden",
            "verzonden items",
            "sendt",
            "sendt post",
            "skickat",
            "lähetetyt",
            "wysłane",
            "отправленные",
            "送信済み",
            "已发送",
            "已发送邮件",
        ],
    ),
    (
        SpecialUse::Archive,
        &[
            "archive",
            "archives",
            "archiv",
            "archivo",
            "archivio",
            "arquivo",
            "archief",
            "arkiv",
            "arkisto",
            "archiwum",
            "архив",
            "アーカイブ",
            "归档",
            "kept",
            "all mail",
            "alle nachrichten",
            "tous les messages",
        ],
    ),
    (
        SpecialUse::Junk,
        &[
            "junk",
            "spam",
            "junk mail",
            "junk email",
            "junk e-mail",
            "bulk mail",
            "spamverdacht",
            "unerwünscht",
            "junk-e-mail",
            "courrier indésirable",
            "indésirables",
            "pourriel",
            "correo no deseado",
            "posta indesiderata",
            "lixo eletrônico",
            "lixo eletrónico",
            "ongewenste e-mail",
            "uønsket e-mail",
            "skräppost",
            "roskaposti",
            "niechciane",
            "спам",
            "нежелательная почта",
            "迷惑メール",
            "垃圾邮件",
        ],
    ),
    (
        SpecialUse::Trash,
        &[
            "trash",
            "bin",
            "deleted",
            "deleted items",
            "deleted messages",
            "papierkorb",
            "gelöscht",
            "gelöschte elemente",
            "gelöschte objekte",
            "corbeille",
            "éléments supprimés",
            "papelera",
            "elementos eliminados",
            "cestino",
            "posta eliminata",
            "lixeira",
            "itens excluídos",
            "itens eliminados",
            "prullenbak",
            "verwijderde items",
            "papirkurv",
            "papperskorgen",
            "slettede elementer",
            "roskakori",
            "kosz",
            "корзина",
            "удаленные",
            "ゴミ箱",
            "已删除",
            "已删除邮件",
        ],
    ),
];

/// The roots below which Gmail and Courier have the special folders.
const ROOTS: [&str; 3] = ["[gmail]/", "[google mail]/", "inbox/"];

/// The special folder that has this name, in any case.
pub(crate) fn named(name: &str) -> Option<SpecialUse> {
    let name = name.trim().to_lowercase();
    NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(special, _)| *special)
}

/// The folder's name with that of the node's special folder, if its first level is one.
pub(crate) fn mapped(name: &str) -> String {
    let lower = name.to_lowercase();
    // A letter may be longer in lower case; such a name has none of the roots.
    let root = ROOTS.iter().find(|root| lower.starts_with(*root)).map_or(0, |root| root.len());
    let below = name.get(root..).unwrap_or(name);
    let (first, rest) =
        below.split_at_checked(below.find('/').unwrap_or(below.len())).unwrap_or((below, ""));
    match named(first) {
        Some(special) => format!("{}{rest}", special.name()),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_folders_are_known_in_many_languages() {
        for (name, mapped_name) in [
            ("inbox", "INBOX"),
            ("INBOX/Lists", "INBOX/Lists"),
            ("INBOX/Sent Items", "Sent"),
            ("Gesendete Objekte/2020", "Sent/2020"),
            ("PAPIERKORB", "Trash"),
            ("Spam", "Junk"),
            ("[Gmail]/All Mail", "Archive"),
            ("[Google Mail]/Corbeille", "Trash"),
            ("Archiv/2019", "Archive/2019"),
            ("Sent to Bob", "Sent to Bob"),
            ("İ/Sent", "İ/Sent"),
        ] {
            assert_eq!(mapped(name), mapped_name, "{name}");
        }
        for (_, names) in NAMES {
            assert!(names.iter().all(|name| *name == name.to_lowercase()), "{names:?}");
        }
    }
}
