//! The words that the rules know, in one place: verbs and what they want, nouns that decide what a verb
//! means, words that join or order clauses. All are folded (lower case, single spaces). Long tables are
//! comma lists: the lexicon takes them apart once.

use super::arms::Intent::{self, Check, Gather, Guard, Make, Run, Think};
use super::reading::Kind::{self, Aside, Compare, Explain, Fix, Plain, Prose, Ship, Trial};

/// English verbs at the head of a clause: what they want, what kind of work it is.
#[rustfmt::skip]
pub(super) const VERBS: &[(Intent, Kind, &str)] = &[
    (Gather, Plain, "search, find, find out, research, look up, look for, look into, look at, gather, collect, \
        get, fetch, retrieve, investigate, explore, discover, locate, identify, read, list, browse, study, \
        survey, figure out, determine, inspect, pull, search for, show, tell, ask, interview"),
    (Gather, Explain, "learn"),
    (Think, Explain, "explain, describe, define"),
    (Think, Prose, "draft, paraphrase, rewrite the text, write about, write up"),
    (Think, Compare, "compare, contrast, rank, choose, select, pick"),
    (Think, Plain, "summarise, summarize, analyse, analyze, plan, decide, recommend, suggest, propose, \
        outline, translate, prioritise, prioritize, estimate, brainstorm, organise, organize, interpret, \
        classify, categorise, categorize, come up with, prepare, discuss, give, answer, calculate, assess, \
        conclude, report, present, forecast, predict, clarify, think, break down"),
    (Make, Fix, "fix, debug, repair, resolve, solve, troubleshoot, patch"),
    (Make, Plain, "write, add, create, develop, make, build, implement, code, program, refactor, optimise, \
        optimize, improve, migrate, port, convert, design, generate, change, modify, update, upgrade, extend, \
        integrate, rewrite, rename, remove, replace, parse, transform, clean, clean up, simplify, extract, \
        prototype, produce, document, support, enable, disable, handle, speed up, reduce, split, merge, style, \
        model, train, profile, visualise, visualize, plot, draw, render, sort, filter, scaffold, insert, \
        compute"),
    (Guard, Plain, "redact, anonymise, anonymize, pseudonymise, pseudonymize, mask, sanitise, sanitize, \
        encrypt, protect, censor, scrub"),
    (Run, Ship, "deploy, release, publish, ship, roll out, launch, install, host"),
    (Run, Trial, "run, execute, test, benchmark"),
    (Run, Aside, "delete, notify, email, alert, invite, share"),
    (Run, Plain, "call, start, stop, restart, roll back, send, schedule, monitor, configure, set up, \
        provision, upload, download, import, export, back up, backup, restore, scrape, crawl, compile, push, \
        book, order, post, trigger, automate, copy, move, submit, scale, invoke, query, open, store, save, \
        connect, apply, assign, sync, close, commit, load, measure, scan, rotate, revoke, grant, block, \
        compress, archive, print, count, set, tag, turn on, turn off, perform, leave, reset, bump, drop, clone, fork"),
    (Check, Plain, "validate, verify, review, check, evaluate, audit, ensure, make sure, confirm, proofread, \
        fact check, double check, grade, judge, certify"),
];

/// The most usual verbs of some other languages.
#[rustfmt::skip]
pub(super) const OTHER_VERBS: &[(Intent, Kind, &str)] = &[
    (Gather, Plain, "suche, finde, recherchiere, sammle, ermittle, busca, buscar, encuentra, investiga, \
        investigar, recherche, rechercher, cherche, chercher, trouve, trouver, pesquise, pesquisar, cerca, \
        cercare, trova, найди, найти, собери, исследуй, поищи, 搜索, 查找, 研究, 收集, 调研, 查询, 检索, 寻找, \
        調べ, 検索, 조사"),
    (Think, Compare, "vergleiche, compara, comparar, comparer, сравни, сравнить, 比较, 选择, 对比, 比較, \
        비교"),
    (Think, Plain, "analysiere, fasse, übersetze, plane, erkläre, bewerte, analiza, analizar, resume, resumir, \
        traduce, traducir, explica, analyser, résume, résumer, traduis, traduire, explique, проанализируй, \
        переведи, объясни, 分析, 总结, 翻译, 解释, 计划, 要約"),
    (Make, Fix, "behebe, repariere, corrige, corregir, arregla, corriger, corrija, correggi, исправь, \
        исправить, 修复, 调试, 修正"),
    (Make, Plain, "schreibe, schreib, schreiben, erstelle, erstellen, baue, entwickle, entwickeln, \
        implementiere, implementieren, optimiere, ergänze, füge, ändere, migriere, escribe, escribir, crea, \
        crear, desarrolla, desarrollar, añade, añadir, agrega, implementa, implementar, construye, écris, \
        écrire, crée, créer, développe, développer, ajoute, ajouter, implémente, escreva, escrever, crie, \
        criar, adicione, scrivi, aggiungi, напиши, написать, создай, создать, добавь, добавить, разработай, \
        реализуй, 写, 编写, 创建, 开发, 实现, 构建, 优化, 添加, 设计, 重构, 生成, 制作, 修改, 作成, 実装, \
        작성"),
    (Guard, Plain, "schwärze, anonymisiere, anonimiza, anonymise les, обезличь, 脱敏, 加密"),
    (Run, Ship, "installiere, installieren, despliega, desplegar, instala, déploie, déployer, installe, \
        разверни, установи, 部署, 安装, 发布, 배포"),
    (Run, Trial, "starte, teste, testen, ejecuta, ejecutar, prueba, probar, tester, exécute, exécuter, \
        execute o, запусти, запустить, протестируй, 运行, 执行, 测试, 実行, テスト"),
    (Run, Aside, "lösche, удали, 删除"),
    (Run, Plain, "stelle, sende, envía, envoie, отправь, 发送"),
    (Check, Plain, "prüfe, prüfen, überprüfe, validiere, verifica, verificar, revisa, revisar, vérifie, \
        vérifier, verifique, проверь, проверить, 检查, 验证, 审查, 确认, 核对, 評価, 検証, 검토"),
];

/// Verbs and usual keywords that are nouns as often: after "and" they head a clause only with an object.
pub(super) const NOUNISH: &str = "search, research, plan, report, draft, code, program, design, change, \
    update, upgrade, repair, document, model, style, patch, support, mask, call, release, schedule, monitor, \
    test, import, export, backup, post, email, order, book, copy, move, scale, host, query, review, check, \
    audit, function, script, pii, privacy, secret, safety, compliance, build, port, prototype, answer, \
    profile, present, judge, list, survey, study, start, stop, launch, debug, benchmark, estimate, pull, push, \
    rank, split, merge, train, outline, clean, contrast, filter, sort, plot, share, load, open, grade, scan, \
    block, archive, print, count, set, tag, reset, drop, show, use, keep";

/// What, built or written, is software.
pub(super) const SOFTWARE: &str = "api, app, application, website, web site, web page, webpage, page, site, \
    function, library, service, microservice, server, backend, frontend, cli, tool, script, bot, chatbot, \
    plugin, module, package, class, component, dashboard, scraper, crawler, parser, compiler, interpreter, \
    game, sdk, endpoint, database, schema, feature, form, ui, gui, widget, extension, system, platform, \
    program, software, algorithm, client, code, login, query, pipeline, workflow, test, unit test, bug, crash, \
    exception, dialog, button, method, struct, interface, framework, regex, python, rust, java, javascript, \
    typescript, sql, golang, kotlin, swift, html, css, react, shop, calculator, generator, migration, model, \
    funktion, anwendung, webseite, programm, skript, schnittstelle, función, aplicación, página, fonction, \
    logiciel, функцию, сайт, приложение, программу, скрипт, 函数, 网站, 应用, 程序, 接口, 软件, 系统, 脚本, \
    网页, 工具, 代码, 関数, アプリ";

/// What, written or drafted, is prose.
pub(super) const PROSE: &str = "email, mail, post, blog, article, report, summary, letter, story, poem, essay, \
    speech, newsletter, press release, presentation, proposal, memo, agenda, recipe, itinerary, plan, text, \
    paragraph, haiku, song, lyrics, book, resume, cv, brief, slogan, tweet, announcement, list, overview, \
    brochure, readme, limerick, sonnet, handout, documentation, docs, guide, manual, policy, logo, campaign, \
    strategy, checklist, changelog, post mortem, translation, review, bericht, artikel, gedicht, informe, \
    artículo, carta, rapport, lettre, отчёт, отчет, статью, письмо, 报告, 文章, 邮件";

/// Signs that personal data or secrets are touched.
pub(super) const SENSITIVE: &str = "password, passphrase, credential, private key, api key, apikey, api token, \
    access token, auth token, secret key, personal data, personal information, personal detail, \
    personally identifiable, customer data, customer email, customer record, customer address, user data, \
    user record, user email, client data, employee data, employee record, patient, medical record, \
    health record, health data, medical data, gdpr, hipaa, ccpa, dsgvo, ssn, social security, credit card, \
    card number, bank account, iban, passport, phone number, email address, home address, date of birth, \
    salary, payroll, biometric, pii, kundendaten, passwort, passwörter, personenbezogene, datos personales, \
    contraseña, données personnelles, mot de passe, персональные данные, пароль, пароли, 密码, 个人信息, \
    个人数据, 客户数据, 隐私, 身份证, パスワード, 個人情報";

/// Words that join clauses only if an action follows.
#[rustfmt::skip]
pub(super) const JOINING: &[&str] = &[
    "and", "but", "&", "plus", "aber", "pero", "mais", "also", "und", "y", "e", "et", "и", "а", "및", "并", "并且", "以及", "和", "且", "そして",
];

/// Words that say that what follows comes later.
#[rustfmt::skip]
pub(super) const ORDERING: &[&str] = &[
    "then", "afterwards", "afterward", "finally", "subsequently", "lastly", "next", "dann", "danach",
    "anschließend", "schließlich", "luego", "después", "finalmente", "puis", "ensuite", "enfin", "poi",
    "depois", "затем", "потом", "然后", "接着", "最后", "随后", "再", "それから",
];

/// Joining and ordering words of scripts without spaces, the longest first.
pub(super) const UNSPACED: &[&str] =
    &["并且", "以及", "然后", "接着", "最后", "随后", "そして", "それから", "并", "和", "且", "再"];

/// What people say before they say what they want, the longest of a kind first.
#[rustfmt::skip]
pub(super) const LEAD_INS: &[&str] = &[
    "please", "can you", "could you", "would you", "you should", "you must", "i would like you to",
    "i would like to", "i would like", "i d like you to", "i d like to", "i d like", "i want you to",
    "i want to", "i want", "i need you to", "i need to", "i need", "we need to", "we want to",
    "we need", "we want", "we should", "we have to", "help me to", "help me", "help us", "let s",
    "let us", "don t forget to", "do not forget to", "remember to", "only", "your task is to", "the goal is to", "the task is to", "to", "first", "firstly",
    "second", "secondly", "third", "also", "now", "just", "after that", "bitte", "por favor",
    "s il vous plaît", "merci de", "пожалуйста", "请帮我", "请你", "请", "帮我", "首先", "我想", "我要",
];

/// Words that begin an object or follow a verb that stands alone.
#[rustfmt::skip]
pub(super) const OBJECT_STARTS: &[&str] = &[
    "a", "an", "the", "this", "that", "these", "those", "it", "them", "its", "their", "my", "our",
    "your", "his", "her", "all", "any", "each", "every", "some", "both", "for", "with", "against",
    "into", "on", "out", "if", "whether", "how", "what", "which", "one", "two", "three", "four", "five",
    "six", "ten", "several", "den", "die", "das", "der", "dem", "ein", "eine", "einen", "sie", "es",
    "alle", "el", "la", "los", "las", "un", "una", "lo", "le", "les", "une", "des", "il", "o", "os",
    "as", "um", "uma", "его", "их", "её", "everything",
];

/// Words that stand for what an earlier clause was about or brought.
#[rustfmt::skip]
pub(super) const REFERENCES: &[&str] = &[
    "it", "them", "its", "their", "these", "those", "result", "results", "finding", "findings",
    "latter", "sie", "ihn", "ergebnis", "ergebnisse", "lo", "los", "las", "les", "её", "его", "их",
    "resultados",
];

/// Words that, at its head, make an object stand for an earlier one.
pub(super) const PRONOUNS: &[&str] = &["it", "them", "why", "sie", "ihn", "lo", "los", "её", "его", "их"];

/// Objects of these words alone say nothing.
#[rustfmt::skip]
pub(super) const VAGUE: &[&str] = &[
    "it", "them", "this", "that", "these", "those", "all", "everything", "something", "anything", "stuff",
    "things", "one", "ones", "both", "each", "alles", "todo", "tout",
];

/// The same in scripts without spaces.
pub(super) const UNSPACED_REFERENCES: &[&str] = &["它", "其", "结果", "それ"];

/// Words that make a sentence without a verb of ours a statement about how things are.
#[rustfmt::skip]
pub(super) const STATING: &[&str] = &[
    "is", "are", "was", "were", "has", "have", "had", "should", "must", "can", "cannot", "will", "would",
    "fails", "fail", "needs", "uses", "use", "ist", "sind", "hat", "haben", "es", "está", "son", "est", "sont",
    "does", "do", "got", "dropped", "stopped", "crashed", "crashes", "crash", "hangs", "freezes", "broke",
    "breaks", "failed", "keeps", "takes", "shows", "throws", "leaks", "returns", "reports", "complain",
    "complains", "increased", "decreased", "went",
];

/// Subjects of statements that nothing is said of.
pub(super) const SPEAKERS: &[&str] = &["i", "we", "you", "they", "there", "wir", "ich", "he", "she"];

/// Of them those that tell what is wanted.
pub(super) const WISHING: &[&str] =
    &["has", "have", "should", "must", "can", "will", "would", "needs", "uses", "use", "es", "do", "does"];

/// What stands behind one of these says which thing is meant.
pub(super) const RELATING: &[&str] = &["that", "which", "who", "whose", "where", "to"];

/// Before "the" these are no verbs either.
#[rustfmt::skip]
pub(super) const FUNCTION_WORDS: &[&str] = &[
    "not", "than", "like", "but", "though", "although", "because", "during", "since", "over", "under",
    "through", "between", "within", "via", "per", "except", "even", "still", "here", "there", "nor",
    "yet", "above", "below", "behind", "near", "upon", "from", "off", "down", "around", "without",
];

/// Behind one of these begins the thing that a verb is about.
pub(super) const DETERMINERS: &[&str] =
    &["a", "an", "the", "it", "them", "this", "these", "those", "my", "our", "your", "their", "all"];

/// Words that begin what must be so before the rest of the sentence holds, or after it.
#[rustfmt::skip]
pub(super) const CONDITIONS: &[&str] =
    &["if", "when", "once", "after", "before", "unless", "until", "while", "given", "as"];

/// What stands before how something is to be done, or what must not be done.
#[rustfmt::skip]
pub(super) const REQUIRING: &[&str] = &[
    "do not", "don t", "dont", "not", "never", "avoid", "without", "must", "should", "only", "use", "no",
    "keep", "you must not", "you should not", "nicht", "ohne", "kein", "keine", "sin", "sans",
];

/// Headings above what is required of the result.
#[rustfmt::skip]
pub(super) const REQUIREMENTS: &[&str] = &[
    "requirements", "requirement", "constraints", "constraint", "rules", "acceptance criteria", "criteria",
    "guidelines", "conditions", "anforderungen", "bedingungen", "must have",
];

/// Words that begin a question.
#[rustfmt::skip]
pub(super) const ASKING: &[&str] = &[
    "what", "who", "whom", "whose", "when", "where", "which", "why", "how", "is", "are", "does", "do",
    "did", "can", "was", "wie", "warum", "wer", "wo", "wann", "welche", "qué", "cómo", "quién",
    "dónde", "comment", "pourquoi", "что", "как", "почему", "где", "什么", "怎么", "如何", "为什么",
];

/// Words that end the head of a noun phrase.
pub(super) const PHRASE_ENDS: &[&str] = &[
    "for", "to", "about", "that", "which", "of", "in", "with", "on", "from", "by", "as", "using", "so",
    "where", "against", "into", "für", "die", "zum", "zur", "über", "para", "sobre", "pour", "sur", "qui",
    "que", "для",
];
